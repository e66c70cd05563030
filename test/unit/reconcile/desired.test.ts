import { expect, test } from 'vitest'
import { deniedSet } from '../../../src/dataplane/names.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Desired } from '../../../src/reconcile/desired.ts'
import { configOf, planOf, SHOP, surroundingsOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

test('what a network sends in a foreign name is counted as its own', async () => {
  const config = await configOf('denyWith: drop\n')
  const { membership } = new Desired({
    config,
    policies: compile(config, [], NOW_MS),
    surroundings: surroundingsOf({ plan: planOf([SHOP]) }),
    generation: 1,
    held: () => [],
  })
  const { bridge } = SHOP
  expect([...membership.elementsOf(deniedSet('policy', 4))]).toEqual([`172.18.0.0/16,${bridge}`])
  expect([...membership.elementsOf(deniedSet('forged', 4))]).toEqual([`0.0.0.0/0,${bridge}`])
  expect([...membership.elementsOf(deniedSet('forged', 6))]).toEqual([`::/0,${bridge}`])
})
