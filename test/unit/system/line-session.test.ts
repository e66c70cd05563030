import { afterEach, expect, test, vi } from 'vitest'
import { LineSession } from '../../../src/system/line-session.ts'

const ends: string[] = []
let session: LineSession

afterEach(async () => {
  await session.close()
  ends.length = 0
})

/** Repeats every line, and knows two words. What `sleep` starts outlives the program and holds its pipe. */
const ECHO =
  'while read -r line; do case $line in die) exit 3;; sleep) sleep 2;; *) echo "said $line";; esac; done'

const open = (timeoutMs = 5_000): LineSession =>
  (session = new LineSession({
    argv: ['sh', '-c', ECHO],
    marker: { question: 'mark', answer: /^said mark$/m },
    onEnd: (error) => ends.push(error.message),
    timeoutMs,
    restartMs: 50,
  }))

test('answers in turn, each question with what belongs to it', async () => {
  open()
  const answers = await Promise.all(['one', 'two', 'three'].map((line) => session.ask(line)))
  expect(answers).toEqual(['said one\n', 'said two\n', 'said three\n'])
  expect(session.life).toBe(1)
  expect(ends).toEqual([])
})

test.each([
  ['that ends', 'die', /./],
  ['that gives no answer', 'sleep', /no answer within 0.2 s/],
])('a program %s fails its question alone, and the next one starts another', async (_, word, why) => {
  open(200)
  expect(await session.ask('first')).toBe('said first\n')
  await expect(session.ask(word)).rejects.toThrow(why)
  expect(ends).toHaveLength(1)
  await vi.waitFor(async () => expect(await session.ask('again')).toBe('said again\n'))
  expect(session.life).toBe(2)
})

test('one that is dropped is gone, and the next question starts another', async () => {
  open()
  await session.ask('first')
  session.drop()
  expect(session.life).toBeUndefined()
  await vi.waitFor(async () => expect(await session.ask('again')).toBe('said again\n'))
  expect(session.life).toBe(2)
})
