import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AskerWaits } from '../../../src/gateway/asker-waits.ts'
import type { Address } from '../../../src/net/types.ts'

const SOURCE = '172.18.0.9' as Address
let waits: AskerWaits
let again: number

const ask = (
  source = SOURCE,
  awaiting: 'settled' | 'unknown' | 'changing' = 'unknown',
  holdMs = 1_000,
): boolean => waits.wait(source, awaiting, holdMs, () => (again += 1))

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  waits = new AskerWaits()
  again = 0
})
afterEach(() => void vi.useRealTimers())

test('a question waits until it is known who asks', () => {
  expect(ask()).toBe(true)
  waits.endSettled(() => 'unknown')
  expect(again).toBe(0)
  waits.endSettled(() => 'settled')
  expect(again).toBe(1)
  vi.advanceTimersByTime(5_000)
  expect(again).toBe(1)
})

test('or until the time is up, and then the same source waits no more for a while', () => {
  expect([ask(), ask()]).toEqual([true, true])
  vi.advanceTimersByTime(1_000)
  expect(again).toBe(2)
  expect(ask()).toBe(false)
  // Its address is about to be somebody else's.
  expect(ask(SOURCE, 'changing')).toBe(true)
  waits.endSettled(() => 'settled')
  expect(ask()).toBe(true)
})

test('nobody waits who is known, or where nothing is held', () => {
  expect([ask(SOURCE, 'settled'), ask(SOURCE, 'unknown', 0)]).toEqual([false, false])
})

test('a source has 8 questions that wait, and all have 256', () => {
  expect(Array.from({ length: 10 }, () => ask()).filter(Boolean)).toHaveLength(8)
  const others = Array.from({ length: 400 }, (_, index) =>
    ask(`172.18.${index >> 8}.${index & 255}0` as Address),
  )
  expect(others.filter(Boolean)).toHaveLength(248)
  vi.advanceTimersByTime(1_000)
  expect(again).toBe(256)
})
