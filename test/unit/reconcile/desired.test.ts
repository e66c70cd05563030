import { expect, test } from 'vitest'
import { containersSet, deniedSet } from '../../../src/dataplane/names.ts'
import type { Address, Cidr } from '../../../src/net/types.ts'
import type { Assignment } from '../../../src/policy/classes.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Desired } from '../../../src/reconcile/desired.ts'
import { configOf, planOf, SHOP, surroundingsOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

test('what a network sends in a foreign name is counted as its own', async () => {
  const config = await configOf('denyWith: drop\n')
  const { membership } = new Desired({
    config,
    policies: compile(config, [], NOW_MS),
    hostFacts: surroundingsOf({ plan: planOf([SHOP]) }),
    generation: 1,
    liveAddresses: () => [],
  })
  const { bridge } = SHOP
  expect([...membership.elementsOf(deniedSet('policy', 4))]).toEqual([`172.18.0.0/16,${bridge}`])
  expect([...membership.elementsOf(deniedSet('forged', 4))]).toEqual([`0.0.0.0/0,${bridge}`])
  expect([...membership.elementsOf(deniedSet('forged', 6))]).toEqual([`::/0,${bridge}`])
})

test('containers are elements: who comes or goes changes no rule', async () => {
  const config = await configOf('denyWith: drop\n')
  const policies = compile(config, [], NOW_MS)
  const hostFacts = surroundingsOf({})
  const address = '172.18.0.2' as Address
  const around = { ...surroundingsOf({}), containers: new Map([[address, '0123456789ab']]) }
  const desired = new Desired({ config, policies, hostFacts, generation: 1, liveAddresses: () => [] })
  const before = desired.dataplane()
  desired.setHostFacts(around)
  expect(desired.dataplane()).toBe(before)
  expect(desired.membership.commentOf(containersSet(4), address)).toBe('0123456789ab')
  desired.setHostFacts(surroundingsOf({}))
  expect(desired.membership.has(containersSet(4), address)).toBe(false)

  const gateway = planOf([{ bridge: 'docker_gwbridge', subnets: ['172.19.0.0/16' as Cidr] }])
  desired.setHostFacts({ ...around, plan: gateway })
  expect([...desired.membership.elementsOf(containersSet(4))]).toEqual([address, '172.19.0.0/16'])
})

test('what a container is denied is counted for its policies, and once more when it is gone', async () => {
  const config = await configOf('policies: { web: { match: { network: shop } } }\n')
  const { bridge } = SHOP
  const rights = (...addresses: string[]): Assignment => ({
    unknown: 'common',
    classes: [
      { id: 3, key: '', policies: ['common', 'web'], metadata: false, smtp: undefined, denyWith: 'drop' },
    ],
    members: addresses.map((address) => ({
      container: { id: 'c1', name: 'web', pid: 1 },
      networkId: `id-${bridge}`,
      network: 'shop',
      segments: ['shop'],
      mac: undefined,
      addresses: [address as Address],
      matched: [],
      class: 3,
    })),
    ignoredLabels: 0,
  })
  const around = (...addresses: string[]) => ({
    ...surroundingsOf({ plan: planOf([SHOP]) }),
    rights: rights(...addresses),
  })
  const desired = new Desired({
    config,
    policies: compile(config, [], NOW_MS),
    hostFacts: around('172.18.0.2'),
    generation: 1,
    liveAddresses: () => [],
  })
  const { membership } = desired
  const set = deniedSet('policy', 4)
  const elements = () => [...membership.elementsOf(set)].toSorted()
  expect(elements()).toEqual([`172.18.0.0/16,${bridge}`, `172.18.0.2,${bridge}`])
  expect(membership.commentOf(set, `172.18.0.2,${bridge}`)).toBe('common+web')
  expect([...membership.elementsOf(deniedSet('smtp', 4))]).toEqual([`172.18.0.0/16,${bridge}`])
  desired.setHostFacts(around('172.18.0.3'))
  desired.counted([deniedSet('smtp', 4), deniedSet('policy', 6)])
  expect(elements()).toEqual([`172.18.0.0/16,${bridge}`, `172.18.0.2,${bridge}`, `172.18.0.3,${bridge}`])
  desired.counted([set])
  expect(elements()).toEqual([`172.18.0.0/16,${bridge}`, `172.18.0.3,${bridge}`])
})
