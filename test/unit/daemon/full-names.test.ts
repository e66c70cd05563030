import { afterEach, expect, test, vi } from 'vitest'
import { FullNames } from '../../../src/daemon/full-names.ts'
import type { Hostname } from '../../../src/net/types.ts'

afterEach(() => void vi.useRealTimers())

test('who was turned away last is named, for a minute after the last time', () => {
  vi.useFakeTimers()
  const states: (string | undefined)[] = []
  const crowded = new FullNames((problem) => states.push(problem))
  const name = '*.example.com' as Hostname
  crowded.note(name, 'hog')
  expect(states).toEqual([expect.stringContaining('*.example.com (asked by hog)')])
  for (let second = 0; second < 90; second++) {
    crowded.note(name, 'hog')
    vi.advanceTimersByTime(1000)
  }
  expect(states).toHaveLength(1)
  crowded.note(name, 'web')
  expect(states.at(-1)).toContain('asked by web')
  vi.advanceTimersByTime(60_000)
  expect(states.at(-1)).toBeUndefined()
})
