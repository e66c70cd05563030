import { expect, test } from 'vitest'
import type { Assignment } from '../../../src/policy/classes.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Desired } from '../../../src/reconcile/desired.ts'
import { areSameRights, rightsInputs } from '../../../src/reconcile/rights-inputs.ts'
import { configOf, planOf, SHOP, surroundingsOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const config = await configOf('policies: { web: { match: { network: shop } } }\n')
const policies = compile(config, [], NOW_MS)

const around = (classes: readonly number[], plan = planOf([SHOP])) => {
  const rights: Assignment = {
    unknown: 'common',
    classes: classes.map((id) => ({
      id,
      key: '',
      policies: ['common', 'web'],
      metadata: false,
      smtp: undefined,
      denyWith: 'drop',
    })),
    members: [],
    ignoredLabels: 0,
  }
  return { ...surroundingsOf({ plan }), rights }
}

const desiredBy = (hostFacts = around([3])) =>
  new Desired({ config, policies, hostFacts, generation: 1, liveAddresses: () => [] })

test('chains of rights do for another network', () => {
  const desired = desiredBy()
  const [before, dataplane] = [rightsInputs(desired), desired.dataplane()]
  desired.setHostFacts(around([3], planOf([SHOP, { bridge: 'br-0123456789ab' }])))
  expect(desired.dataplane()).not.toBe(dataplane)
  expect(areSameRights(before, rightsInputs(desired))).toBe(true)
})

test.each<[string, (desired: Desired) => void]>([
  ['a class that is new', (desired) => desired.setHostFacts(around([3, 4]))],
  ['another generation', (desired) => desired.setGeneration(2)],
  ['other policies', (desired) => desired.setPolicy(config, compile(config, [], NOW_MS))],
])('but not for %s', (_, change) => {
  const desired = desiredBy()
  const before = rightsInputs(desired)
  change(desired)
  expect(areSameRights(before, rightsInputs(desired))).toBe(false)
})

test('nor is anything known to stand before the first pass', () => {
  expect(areSameRights(undefined, rightsInputs(desiredBy()))).toBe(false)
})
