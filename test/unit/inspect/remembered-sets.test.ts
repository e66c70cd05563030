import { expect, test } from 'vitest'
import { rememberSets } from '../../../src/inspect/remembered-sets.ts'

test('each question is asked once, and each set is read once', async () => {
  const asked: string[] = []
  const sets = rememberSets({
    holding: async (questions) => {
      asked.push(questions.map(({ set, element }) => `${set} ${element}`).join())
      return new Set(questions.map(({ set }) => set))
    },
    elements: async (names) => {
      asked.push(names.join())
      return new Map()
    },
  })
  const question = [{ set: 'a', element: '203.0.113.1' }]
  for (let times = 0; times < 2; times += 1) {
    expect(await sets.holding(question)).toEqual(new Set(['a']))
    expect(await sets.elementsOf('gone')).toEqual([])
  }
  await sets.holding([{ set: 'a', element: '203.0.113.2' }])
  expect(asked).toEqual(['a 203.0.113.1', 'gone', 'a 203.0.113.2'])
})
