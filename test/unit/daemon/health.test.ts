import { expect, test } from 'vitest'
import { Health } from '../../../src/daemon/health.ts'

test('by what something may get out is told first, the rest as it came up', () => {
  const health = new Health(() => undefined)
  for (const key of ['resolver', 'proof', 'docker', 'kernel']) health.set(key, key)
  expect(health.problems).toEqual(['kernel', 'proof', 'resolver', 'docker'])
  health.set('kernel', undefined)
  expect(health.problems).toEqual(['proof', 'resolver', 'docker'])
})
