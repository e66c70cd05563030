import { describe, expect, test } from 'vitest'
import type { Lookup } from '../../../src/resolve/model.ts'
import { Reachability } from '../../../src/resolve/reachability.ts'

const silence: Lookup = { kind: 'timeout', detail: 'no answer in time' }
const forbidden: Lookup = { kind: 'error', detail: 'send EPERM 198.51.100.1:53' }
const answer: Lookup = { kind: 'nxdomain', detail: 'NXDOMAIN' }

test('silence to all names for half a minute is told until somebody answers', () => {
  const reachability = new Reachability()
  const told = [0, 3000, 6000, 9000, 29_999, 30_000, 33_000].map((nowMs) => reachability.note(silence, nowMs))
  expect(told.map((problem) => problem !== undefined)).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
    true,
  ])
  expect(reachability.note(answer, 34_000)).toBeUndefined()
  expect(reachability.note(silence, 70_000)).toBeUndefined()
})

test('a few unanswered names over a long time are no silence', () => {
  const reachability = new Reachability()
  for (let nowMs = 0; nowMs < 600_000; nowMs += 20_000) {
    expect(reachability.note(silence, nowMs)).toBeUndefined()
    expect(reachability.note(answer, nowMs + 1000)).toBeUndefined()
  }
})

test("this host's own firewall is named at once", () => {
  const reachability = new Reachability()
  expect(reachability.note(forbidden, 0)).toBeUndefined()
  expect(reachability.note(forbidden, 10)).toMatch(/own firewall.*ufw allow out 53/)
  expect(reachability.note(answer, 20)).toBeUndefined()
})

describe('where no name resolves', () => {
  const failing = (kind: 'refused' | 'servfail' | 'nxdomain' | 'timeout'): Lookup => ({ kind, detail: '' })
  const counts = { fresh: 0, stale: 1, failing: 2 }
  const told = (kinds: Parameters<typeof failing>[0][], found = counts) => {
    const reachability = new Reachability()
    for (const kind of kinds) reachability.note(failing(kind), 0)
    return reachability.noneResolves(found)
  }

  test('since the server refuses, it is said with the first name', () => {
    expect(told(['refused'])).toBeUndefined()
    expect(told(['refused', 'refused'])).toMatch(
      /^none of the 3 names resolves: .*REFUSED.*resolver\.servers/,
    )
    expect(told(['refused', 'timeout', 'refused'])).toContain('REFUSED')
  })

  test('since the server fails, it is said when it goes on', () => {
    expect(told(['servfail', 'servfail', 'servfail'])).toBeUndefined()
    expect(told(['servfail', 'servfail', 'servfail', 'servfail'])).toContain('SERVFAIL')
  })

  test('nothing is said while some name is fresh, nor of names that do not exist, nor without names', () => {
    expect(told(['refused', 'refused'], { ...counts, fresh: 1 })).toBeUndefined()
    expect(told(['refused', 'refused', 'nxdomain'])).toBeUndefined()
    expect(told(['refused', 'refused'], { fresh: 0, stale: 0, failing: 0 })).toBeUndefined()
  })
})
