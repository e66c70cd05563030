import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Trial } from '../../../src/daemon/trial.ts'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

test('is over once, when its time is up', () => {
  const over = vi.fn()
  const trial = new Trial(over)
  trial.begin(60_000)
  expect(trial.untilMs).toBe(1_060_000)
  vi.advanceTimersByTime(59_999)
  expect(over).not.toHaveBeenCalled()
  vi.advanceTimersByTime(600_000)
  expect(over).toHaveBeenCalledTimes(1)
  expect(trial.isOver).toBe(true)
  trial.begin(60_000)
  expect(trial.isOver).toBe(false)
  trial.end()
})

test('is replaced by the next, and ended before its time', () => {
  const over = vi.fn()
  const trial = new Trial(over)
  trial.begin(60_000)
  vi.advanceTimersByTime(50_000)
  trial.begin(60_000)
  vi.advanceTimersByTime(50_000)
  expect(over).not.toHaveBeenCalled()
  trial.end()
  expect(trial.untilMs).toBeUndefined()
  vi.advanceTimersByTime(600_000)
  expect(over).not.toHaveBeenCalled()
})
