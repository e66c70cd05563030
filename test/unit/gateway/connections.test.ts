import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Connections } from '../../../src/gateway/connections.ts'

class Fake {
  isGone = false
  destroy(): void {
    this.isGone = true
  }
}

const open = (most = 10, perSource = 3) => {
  const connections = new Connections<Fake>({ most, perSource })
  let count = 0
  const add = (network: string, source = `${count++}`): Fake | undefined => {
    const one = new Fake()
    return connections.add(one, source, network) ? one : undefined
  }
  return { connections, add }
}

test('the greediest network gives way, and there who was quiet the longest', () => {
  const { connections, add } = open()
  const few = [add('few'), add('few')]
  const many = Array.from({ length: 8 }, () => add('many'))
  connections.countQuestions(many[0] as Fake, 1)
  connections.countQuestions(many[1] as Fake, 1)
  connections.countQuestions(many[1] as Fake, -1)
  add('other')
  expect(many.map((one) => one?.isGone)).toEqual([false, false, true, false, false, false, false, false])
  for (let more = 0; more < 20; more++) add('many')
  expect(few.map((one) => one?.isGone)).toEqual([false, false])
  expect(many[0]?.isGone).toBe(false)
  expect(connections.size).toBe(10)
})

test('a source has its share and no more, and has it again when one is gone', () => {
  const { connections, add } = open()
  const own = [add('a', 'one'), add('a', 'one'), add('a', 'one')]
  expect(add('a', 'one')).toBeUndefined()
  connections.delete(own[0] as Fake)
  expect(add('a', 'one')).toBeDefined()
})

test('whatever comes and goes, there are no more than may be, and no network pushes out a smaller one', () => {
  const step = fc.record({ network: fc.constantFrom('a', 'b', 'c'), leaves: fc.nat(20) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { connections, add } = open(6, 100)
      const all: { network: string; one: Fake }[] = []
      const sizeOf = (network: string): number =>
        all.filter((each) => each.network === network && !each.one.isGone).length
      for (const { network, leaves } of steps) {
        const before = { a: sizeOf('a'), b: sizeOf('b'), c: sizeOf('c') }
        const one = add(network)
        if (one) all.push({ network, one })
        for (const [each, size] of Object.entries(before))
          if (sizeOf(each) < size) expect(size).toBe(Math.max(...Object.values(before)))
        expect(connections.size).toBeLessThanOrEqual(6)
        const gone = all[leaves]?.one
        if (gone) {
          gone.isGone = true
          connections.delete(gone)
        }
      }
    }),
  )
})
