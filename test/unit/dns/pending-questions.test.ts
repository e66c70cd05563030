import { describe, expect, test } from 'vitest'
import { PendingQuestions, type SocketResult } from '../../../src/dns/pending-questions.ts'
import { encodeQuestion, questionEnd } from '../../../src/dns/question.ts'

const NAME = '\x03api\x07example\0'

function ask(pending: PendingQuestions, sentMs = 0, untilMs = 1_000) {
  const message = encodeQuestion({ name: NAME, type: 1, dnssecOk: false, checkingDisabled: false }, true)
  const results: SocketResult[] = []
  const finish = (result: SocketResult): number => results.push(result)
  pending.add({ message, end: questionEnd(NAME), sentMs, untilMs, alone: false, rubbish: false, finish })
  return { message, results }
}

function answerTo(message: Buffer): Buffer {
  const answer = Buffer.from(message.subarray(0, questionEnd(NAME)))
  answer.writeUInt16BE(0x8180, 2)
  answer.writeUInt16BE(0, 10)
  return answer
}

describe('questions on their way', () => {
  test('have an id each, however many there are', () => {
    const pending = new PendingQuestions()
    const ids = Array.from({ length: 20_000 }, () => ask(pending).message.readUInt16BE(0))
    expect(new Set(ids).size).toBe(20_000)
  })

  test('end with their answer, once', () => {
    const pending = new PendingQuestions()
    const [one, other] = [ask(pending), ask(pending)]
    const answer = answerTo(other.message)
    pending.receive(answer)
    pending.receive(answer)
    expect(one.results).toEqual([])
    expect(other.results).toEqual([{ kind: 'answer', message: answer, keepsCase: true }])
    expect(pending.size).toBe(1)
  })

  test('are told of letters in another case', () => {
    const pending = new PendingQuestions()
    const { message, results } = ask(pending)
    const answer = answerTo(message)
    answer[13]! ^= 0x20
    pending.receive(answer)
    expect(results).toMatchObject([{ kind: 'answer', keepsCase: false }])
  })

  test('end at their time, and tell silence from rubbish', () => {
    const pending = new PendingQuestions()
    const [silent, fooled, later] = [ask(pending, 5), ask(pending, 7), ask(pending, 9, 2_000)]
    const wrong = answerTo(fooled.message)
    wrong[questionEnd(NAME) - 3] = 28
    pending.receive(wrong)
    expect(pending.expire(999)).toBeUndefined()
    expect(pending.expire(1_000)).toBe(7)
    expect(silent.results).toEqual([{ kind: 'silence', rubbish: false }])
    expect(fooled.results).toEqual([{ kind: 'silence', rubbish: true }])
    expect(later.results).toEqual([])
    // Too short for an id, so it may have been meant for any question.
    pending.receive(Buffer.from('nonsense'))
    pending.expire(2_000)
    expect(later.results).toEqual([{ kind: 'silence', rubbish: true }])
  })

  test('all end with the socket', () => {
    const pending = new PendingQuestions()
    const asked = [ask(pending), ask(pending)]
    pending.fail({ kind: 'unreachable', detail: 'EPERM' })
    for (const { results } of asked) expect(results).toEqual([{ kind: 'unreachable', detail: 'EPERM' }])
    expect(pending.size).toBe(0)
  })
})
