import { describe, expect, test } from 'vitest'
import { answerPolicyOf } from '../../../src/daemon/askers.ts'
import type { Address } from '../../../src/net/types.ts'
import { compile } from '../../../src/policy/compile.ts'
import type { Desired } from '../../../src/reconcile/desired.ts'
import type { Inventory } from '../../../src/workloads/model.ts'
import { configOf, planOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const YAML = 'dns: { gateway: true }\nallow: [a.example.com]\n'
const heard = (...containers: readonly object[]): Inventory => ({ containers }) as unknown as Inventory
const endpoints = (...addresses: readonly string[]) => [{ addresses }]
const HEARD = heard()

interface Member {
  readonly name: string
  readonly addresses: readonly string[]
  readonly class: number | undefined
}

async function askerOf(
  members: readonly Member[] | undefined,
  {
    yaml = YAML,
    unknown = 'common',
    inventory = HEARD,
  }: {
    yaml?: string
    unknown?: 'common' | 'deny'
    inventory?: Inventory | undefined
  } = {},
) {
  const config = await configOf(yaml)
  const policies = compile(config, [], NOW_MS)
  const rights = members && {
    unknown,
    classes: [
      { id: 1, policies: ['common'], smtp: undefined },
      { id: 2, policies: ['common', 'shop'], smtp: { destinations: 'any' } },
    ],
    members: members.map(({ name, ...member }) => ({ ...member, container: { id: `id-${name}`, name } })),
  }
  const hostFacts = { plan: planOf(), rights }
  const answering = answerPolicyOf({ config, policies, hostFacts } as unknown as Desired, inventory)
  return (address: string) => answering.askerOf(address as Address)
}

describe('by its class', () => {
  test('a container asks with its policies, from each of its addresses', async () => {
    const asker = await askerOf([{ name: 'shop', addresses: ['172.18.0.3', 'fd00:18::3'], class: 2 }])
    const shop = { name: 'shop', policies: ['common', 'shop'], anyName: true, sharesKernel: false }
    expect([asker('172.18.0.3'), asker('fd00:18::3')]).toEqual([shop, shop])
  })

  const member = (name: string, id: number | undefined): Member => ({
    name,
    addresses: ['172.18.0.3'],
    class: id,
  })

  test('an address that two claim is known when both have the same rights', async () => {
    const asker = await askerOf([member('one', 2), member('two', 2)], { unknown: 'deny' })
    expect(asker('172.18.0.3')?.policies).toEqual(['common', 'shop'])
  })

  test.each([[[1, 2]], [[2, 1]], [[1, 2, 2]], [[2, undefined]], [[undefined, 2]], [[undefined, 2, 2]]])(
    'an address that containers of the classes %j claim is of nobody',
    async (classes) => {
      const asker = await askerOf(
        classes.map((id, at) => member(`c${at}`, id)),
        { unknown: 'deny' },
      )
      expect(asker('172.18.0.3')).toBeUndefined()
    },
  )
})

describe('a container has sockets of this kernel', () => {
  const web = { id: 'id-web', name: 'web', networkMode: 'bridge', endpoints: endpoints('172.18.0.2') }
  const guest = { id: 'id-guest', name: 'guest', networkMode: 'container:id-web', endpoints: [] }

  test.each([
    ['by its runtime', [{ ...web, runtime: 'runc' }], true],
    [
      'with another of them in its namespace',
      [
        { ...web, runtime: 'crun' },
        { ...guest, runtime: 'runc' },
      ],
      true,
    ],
    ['not by another runtime', [{ ...web, runtime: 'runsc' }], false],
    ['not while it was only listed', [{ ...web, runtime: '' }], false],
    [
      'not beside one in a namespace that was joined by name, and joined again',
      [
        { ...web, runtime: 'runc' },
        { ...guest, runtime: 'runc', networkMode: 'container:web' },
        { ...guest, id: 'id-third', name: 'third', runtime: 'kata', networkMode: 'container:guest' },
      ],
      false,
    ],
    [
      'not beside one in its namespace',
      [
        { ...web, runtime: 'runc' },
        { ...guest, runtime: 'runsc' },
      ],
      false,
    ],
  ])('%s', async (_, containers, shares) => {
    const inventory = heard(...containers)
    const byName = await askerOf(undefined, { inventory })
    const byClass = await askerOf([{ name: 'web', addresses: ['172.18.0.2'], class: 1 }], { inventory })
    for (const asker of [byName, byClass]) expect(asker('172.18.0.2')?.sharesKernel).toBe(shares)
  })

  test('not where another claims its address', async () => {
    const inventory = heard({ ...web, runtime: 'runc' }, { ...web, id: 'id-other', runtime: 'runsc' })
    for (const names of [
      ['web', 'other'],
      ['other', 'web'],
    ]) {
      const members = names.map((name) => ({ name, addresses: ['172.18.0.2'], class: 1 }))
      expect((await askerOf(members, { inventory }))('172.18.0.2')?.sharesKernel).toBe(false)
    }
    for (const containers of [inventory.containers, inventory.containers.toReversed()]) {
      const byName = await askerOf(undefined, { inventory: { ...inventory, containers } })
      expect(byName('172.18.0.2')?.sharesKernel).toBe(false)
    }
  })
})

describe('who is not known', () => {
  test('asks as the common policy says, within guarded subnets', async () => {
    const asker = await askerOf([])
    const common = { name: 'unknown', policies: ['common'], anyName: false, sharesKernel: false }
    expect([asker('172.18.0.77'), asker('fd00:18::77')]).toEqual([common, common])
    expect([asker('172.19.0.77'), asker('192.0.2.1'), asker('fd00:19::1')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test('asks nothing where unknown sources are denied', async () => {
    expect((await askerOf([], { unknown: 'deny' }))('172.18.0.77')).toBeUndefined()
  })

  test('asks from anywhere until the engine was heard', async () => {
    const config = await configOf(YAML)
    const hostFacts = { plan: planOf([]), rights: undefined }
    const desired = { config, policies: compile(config, [], NOW_MS), hostFacts } as unknown as Desired
    expect(answerPolicyOf(desired, undefined).askerOf('172.30.0.1' as Address)?.policies).toEqual(['common'])
  })
})

test('without policies a container asks by name, from each of its addresses', async () => {
  const web = { name: 'web', networkMode: 'bridge', endpoints: endpoints('172.18.0.2', 'fd00:18::2') }
  const asker = await askerOf(undefined, { inventory: heard(web) })
  expect([asker('172.18.0.2')?.name, asker('fd00:18::2')?.name]).toEqual(['web', 'web'])
})

test('who may send mail to any host may ask for any name', async () => {
  const yaml = `${YAML}smtp: { destinations: any }\n`
  expect((await askerOf(undefined, { yaml }))('172.18.0.2')?.anyName).toBe(true)
  expect((await askerOf(undefined))('172.18.0.2')?.anyName).toBe(false)
})

test('names are the same table for as long as policies are the same', async () => {
  const config = await configOf(YAML)
  const hostFacts = { plan: planOf(), rights: undefined }
  const namesOf = (policies: Desired['policies']) =>
    answerPolicyOf({ config, policies, hostFacts } as unknown as Desired, HEARD).names
  const policies = compile(config, [], NOW_MS)
  expect(namesOf(policies)).toBe(namesOf(policies))
  expect(namesOf(compile(config, [], NOW_MS))).not.toBe(namesOf(policies))
})
