import { expect, test } from 'vitest'
import { admittedSet } from '../../../src/dataplane/names.ts'
import { prolongAdmitted } from '../../../src/reconcile/prolong-admitted.ts'
import type { KnownSet } from '../../../src/targets/ipset/known.ts'

const NOW_MS = 1_000_000
const admitted = (expiresAtMs: number): ReadonlyMap<string, KnownSet> =>
  new Map([
    [
      admittedSet(4),
      {
        header: {} as KnownSet['header'],
        elements: new Map([
          ['0.0.0.0/1', { expiresAtMs, comment: 'no right has ended', packets: 0, bytes: 0 }],
        ]),
      },
    ],
  ])

test.each([
  ['whose right has ended a moment ago is prolonged while connections are listed', NOW_MS + 900, 1],
  ['whose right is yet to end is left alone: it would last longer should the process end', NOW_MS + 2_001, 0],
  ['that has run out is not brought back', NOW_MS, 0],
])('the set of the admitted %s', (_, expiresAtMs, lines) => {
  const prolonged = prolongAdmitted(admitted(expiresAtMs), NOW_MS)
  expect(prolonged).toHaveLength(lines)
  for (const line of prolonged)
    expect(line).toBe(`add ${admittedSet(4)} 0.0.0.0/1 timeout 20 comment "no right has ended"`)
})
