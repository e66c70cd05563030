import { expect, test } from 'vitest'
import { budget } from '../../../src/dataplane/chains/budget.ts'

test.each([
  ['5/minute, burst 5', { count: 5, per: 'minute' }, 5, 60_000],
  ['1/hour, burst 100', { count: 1, per: 'hour' }, 100, 100 * 3_600_000],
  ['200/second, burst 20', { count: 200, per: 'second' }, 20, 1_000],
  ['1/day, burst 10,000', { count: 1, per: 'day' }, 10_000, 2 ** 32 - 1],
] as const)('silence brings no more back than the rate does: %s', (_, rate, burst, expireMs) => {
  const match = budget({ name: 'embargod-x', side: 'above', burst, bySource: true, rate })
  expect(match).toMatchObject({ kind: 'hashlimit', limit: { ...rate, burst, expireMs } })
})
