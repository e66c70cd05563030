import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RestartWatch } from '../../../src/daemon/restart-watch.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** What is begun again each time that it ends, and never stays. */
test.each([
  ['twice in a minute is an accident', [0, 1_000], []],
  ['three times in an hour as well', [0, 1_200_000, 2_400_000], []],
  ['again and again is told, until it has stayed for a minute', [0, 200, 600], ['gone', undefined]],
])('%s', async (_, ends, expected) => {
  const told: (string | undefined)[] = []
  const unsteady = new RestartWatch((why) => told.push(why))
  for (const endMs of ends) unsteady.ended('gone', endMs)
  await vi.advanceTimersByTimeAsync(61_000)
  expect(told).toEqual(expected)
})
