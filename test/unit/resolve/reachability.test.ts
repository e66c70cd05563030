import { expect, test } from 'vitest'
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
