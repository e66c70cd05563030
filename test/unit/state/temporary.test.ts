import { expect, test } from 'vitest'
import { TemporaryAllows } from '../../../src/state/temporary.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

test.each([
  ['runs', 0],
  ['is set back by a day meanwhile', -DAY],
  ['is set forward by half an hour meanwhile', HOUR / 2],
])('what is allowed for an hour ends within it when the clock %s', (_, stepMs) => {
  let monotonic = 5_000
  let epoch = Date.UTC(2026, 5, 15)
  const allows = new TemporaryAllows({ epochMs: () => epoch, monotonicMs: () => monotonic })
  allows.add('203.0.113.9', epoch + HOUR, false)
  const pass = (ms: number) => {
    monotonic += ms
    epoch += ms
    allows.expire()
  }
  pass(HOUR / 4)
  expect(allows.list()).toHaveLength(1)
  expect(allows.nextEndInMs).toBe((3 * HOUR) / 4)
  epoch += stepMs
  pass((3 * HOUR) / 4)
  expect(allows.list()).toEqual([])
  expect(allows.nextEndInMs).toBe(Infinity)
})
