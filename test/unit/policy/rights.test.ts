import { describe, expect, test } from 'vitest'
import { ClassNumbers, MOST_CLASSES } from '../../../src/policy/class-numbers.ts'
import { assign } from '../../../src/policy/classes.ts'
import type { Config } from '../../../src/config/model.ts'
import { Matching, type Standing } from '../../../src/policy/rights.ts'
import type { Container, Inventory } from '../../../src/workloads/model.ts'
import { parseContainer } from '../../../src/workloads/inventory.ts'
import { configOf } from '../../support/builders.ts'
import { containerJson } from '../../support/docker-json.ts'

const YAML = `
allow: [api.example.com]
smtp: {}
guard: { labels: honour }
policies:
  shop: { match: { compose: shop }, allow: [shop.example.com] }
  web: { match: { compose: shop/web }, allow: [cdn.example.com] }
  payments:
    match: [{ network: shop_payments }, { container: "pay-*", label: tier=gold }]
    allow: [pay.example.com]
    inherit: false
  mailer: { match: { container: mail-? }, smtp: { rate: 100/hour }, denyWith: reject }
  imds: { match: { container: role }, metadata: allow }
  gold: { match: { label: tier=gold }, metadata: allow }
  both: { match: [{ label: tier=iam }, { container: "worker-*" }], metadata: allow }
  visitor: { attachable: true, allow: [guest.example.com], metadata: allow }
  fixed: { allow: [fixed.example.com], match: { container: nobody } }
`

const container = (
  name: string,
  {
    labels = {},
    imageLabels = {},
    networks = ['bridge'],
    policyLabels = [],
  }: {
    labels?: Record<string, string>
    imageLabels?: Record<string, string> | 'unknown'
    networks?: string[]
    policyLabels?: string[]
  } = {},
): Container => {
  const { value } = parseContainer(
    containerJson({ name, id: name.padEnd(64, '0'), Config: { Labels: labels } }),
  )
  if (!value) throw new Error('no container')
  const [endpoint] = value.endpoints
  if (!endpoint) throw new Error('no endpoint')
  return {
    ...value,
    imageLabels: imageLabels === 'unknown' ? undefined : imageLabels,
    endpoints: networks.map((networkName) => ({ ...endpoint, networkName, policyLabels })),
  }
}

const compose = (project: string, service: string) => ({
  'com.docker.compose.project': project,
  'com.docker.compose.service': service,
})

function standing(config: Config, one: Container, network: string): Standing {
  const found = new Matching(config)
    .of(one, false)
    .standings.find(({ endpoint }) => endpoint.networkName === network)
  if (!found) throw new Error(`${one.name} has no standing on ${network}`)
  return found
}

describe('who is in which policy', () => {
  test.each([
    ['nobody in particular', container('x'), 'bridge', []],
    ['a service of a project', container('x', { labels: compose('shop', 'web') }), 'bridge', ['shop', 'web']],
    ['another service of it', container('x', { labels: compose('shop', 'db') }), 'bridge', ['shop']],
    ['a service of that name elsewhere', container('x', { labels: compose('other', 'web') }), 'bridge', []],
    ['on a network', container('x', { networks: ['shop_payments'] }), 'shop_payments', ['payments']],
    ['on it and on another, there', container('x', { networks: ['a', 'shop_payments'] }), 'a', []],
    [
      'two conditions, both',
      container('pay-1', { labels: { tier: 'gold' } }),
      'bridge',
      ['payments', 'gold'],
    ],
    ['two conditions, one', container('pay-1'), 'bridge', []],
    ['a pattern with one character', container('mail-1'), 'bridge', ['mailer']],
    ['a pattern with one character, two', container('mail-12'), 'bridge', []],
    [
      'attached by label',
      container('x', { labels: { 'embargod.policy': 'visitor' } }),
      'bridge',
      ['visitor'],
    ],
    [
      'attached by the label of its network',
      container('x', { policyLabels: ['visitor'] }),
      'bridge',
      ['visitor'],
    ],
    [
      'attached by its network to what is not attachable',
      container('x', { policyLabels: ['fixed'] }),
      'bridge',
      [],
    ],
    [
      'attached to what is not attachable',
      container('x', { labels: { 'embargod.policy': 'fixed' } }),
      'bridge',
      [],
    ],
    [
      'by a label that its image brings',
      container('x', { labels: { tier: 'gold' }, imageLabels: { tier: 'gold' } }),
      'bridge',
      [],
    ],
    [
      'by a label that its image brings with another value',
      container('x', { labels: { tier: 'gold' }, imageLabels: { tier: 'lead' } }),
      'bridge',
      ['gold'],
    ],
    [
      'a service whose image compose has built',
      container('x', {
        labels: { ...compose('shop', 'web'), 'com.docker.compose.config-hash': 'abc' },
        imageLabels: compose('shop', 'web'),
      }),
      'bridge',
      ['shop', 'web'],
    ],
    [
      'an image that bears everything compose writes',
      container('x', {
        labels: { ...compose('shop', 'web'), 'com.docker.compose.config-hash': 'abc' },
        imageLabels: { ...compose('shop', 'web'), 'com.docker.compose.config-hash': 'abc' },
      }),
      'bridge',
      [],
    ],
    [
      'by a label, the image unknown',
      container('x', { labels: { tier: 'gold' }, imageLabels: 'unknown' }),
      'bridge',
      [],
    ],
  ] as const)('%s', async (_, one, network, expected) => {
    const { matched } = standing(await configOf(YAML), one, network)
    expect(matched.map(({ policy }) => policy)).toEqual(expected)
  })

  test('and by what', async () => {
    const one = container('pay-1', { labels: { tier: 'gold' }, networks: ['shop_payments'] })
    expect(standing(await configOf(YAML), one, 'shop_payments').matched).toEqual([
      { policy: 'payments', why: 'network shop_payments' },
      { policy: 'gold', why: 'label tier=gold' },
    ])
  })

  test('labels attach nothing unless they are honoured', async () => {
    const config = await configOf(YAML.replace('labels: honour', 'labels: ignore'))
    const visitor = container('x', { labels: { 'embargod.policy': 'visitor' } })
    expect(standing(config, visitor, 'bridge').matched).toEqual([])
  })
})

describe('what they give', () => {
  const rights = async (one: Container, network = one.endpoints[0]?.networkName ?? '') =>
    standing(await configOf(YAML), one, network).rights

  test('allow lists unite', async () => {
    const { policies } = await rights(container('x', { labels: compose('shop', 'web') }))
    expect(policies).toEqual(['common', 'shop', 'web'])
  })
  test('who inherits nothing on one network inherits nothing on any', async () => {
    const one = container('x', { networks: ['a', 'shop_payments'], labels: compose('shop', 'db') })
    expect((await rights(one, 'a')).policies).toEqual(['shop'])
    expect((await rights(one, 'shop_payments')).policies).toEqual(['shop', 'payments'])
  })
  test('a label that its image brings gives nothing, and still narrows', async () => {
    const labels = { tier: 'gold' }
    const pay = (imageLabels: Record<string, string> | 'unknown') =>
      rights(container('pay-1', { labels, imageLabels }))
    expect(await pay({})).toMatchObject({ policies: ['payments', 'gold'] })
    for (const imageLabels of [labels, 'unknown'] as const)
      expect(await pay(imageLabels)).toMatchObject({ policies: [], metadata: false })
  })
  test('metadata is opened by a policy, never by a label', async () => {
    expect((await rights(container('x', { policyLabels: ['visitor'] }))).metadata).toBe(false)
    expect((await rights(container('role'))).metadata).toBe(true)
    expect((await rights(container('x', { labels: { tier: 'gold' } }))).metadata).toBe(false)
    expect((await rights(container('x', { labels: { 'embargod.policy': 'visitor' } }))).metadata).toBe(false)
    expect((await rights(container('worker-1', { labels: { tier: 'iam' } }))).metadata).toBe(true)
    expect((await rights(container('x', { labels: { tier: 'iam' } }))).metadata).toBe(false)
  })
  test('limits on mail and the way to deny are their own', async () => {
    expect(await rights(container('mail-1'))).toMatchObject({
      smtp: { rate: { count: 100, per: 'hour' } },
      denyWith: 'reject',
    })
    expect(await rights(container('x'))).toMatchObject({ smtp: { rate: { count: 5 } }, denyWith: 'drop' })
  })
})

const rightsNamed = (key: string) => ({
  key,
  policies: [],
  metadata: false,
  smtp: undefined,
  denyWith: 'drop' as const,
})

describe('numbers', () => {
  const inventoryOf = (...containers: Container[]): Inventory => ({ networks: [], containers })
  const policies = (count: number): string =>
    Array.from(
      { length: count },
      (_, i) => `  p${i}: { match: { container: c${i} }, allow: [a.example:${i + 1}] }\n`,
    ).join('')

  test('stay, come back only when all others had their turn, and survive a process', async () => {
    const config = await configOf(`policies:\n${policies(3)}`)
    const numbers = new ClassNumbers()
    const numberOf = (name: string, ...others: string[]) =>
      assign(config, inventoryOf(container(name), ...others.map((one) => container(one))), numbers)
        ?.members[0]?.class
    expect(numberOf('c0', 'c1')).toBe(1)
    expect(numberOf('c1')).toBe(2)
    expect(numberOf('c2', 'c1')).toBe(3)
    expect(numberOf('c0')).toBe(1)
    expect(assign(config, inventoryOf(container('c1')), numbers)?.classes.map(({ id }) => id)).toEqual([
      1, 2, 3,
    ])
    // Another config: what nobody has is forgotten, and its number is not given away at once.
    const next = new ClassNumbers(numbers.snapshot())
    const other = { ...config, policies: [...config.policies] }
    expect(next.snapshot().last).toBe(3)
    expect(assign(other, inventoryOf(container('c1')), next)?.classes.map(({ id }) => id)).toEqual([2])
    const members = assign(other, inventoryOf(container('c1'), container('c0')), next)?.members
    expect(members?.map((one) => one.class)).toEqual([2, 4])
  })
  test('end somewhere, and who comes too late has no rights at all', async () => {
    const numbers = new ClassNumbers()
    for (let i = 0; i < MOST_CLASSES; i++) expect(numbers.of(rightsNamed(`key ${i}`))).toBe(i + 1)
    expect(numbers.of(rightsNamed('one more'))).toBeUndefined()
  })
  test('are not given where all containers are alike', async () => {
    expect(
      assign(await configOf('allow: [a.example]\n'), inventoryOf(container('x')), new ClassNumbers()),
    ).toBeUndefined()
  })
  test('of an engine that is away are kept, and their chains under the same policies', async () => {
    const config = await configOf(`policies:\n${policies(2)}`)
    const numbers = new ClassNumbers()
    assign(config, inventoryOf(container('c0'), container('c1')), numbers)
    const saved = numbers.snapshot()
    const next = new ClassNumbers(saved, config.policies)
    expect(assign(config, undefined, next)?.classes).toEqual(numbers.classes)
    expect(next.snapshot()).toEqual(saved)
    // Under others nobody knows what they would give.
    expect(assign(config, undefined, new ClassNumbers(saved))?.classes).toEqual([])
  })
  test('that nobody has any more stand until the bindings no longer give them', async () => {
    const config = await configOf(`policies:\n${policies(2)}`)
    const other = { ...config, policies: [...config.policies] }
    const numbers = new ClassNumbers()
    const ids = (one: typeof config, ...names: string[]) =>
      assign(one, inventoryOf(...names.map((name) => container(name))), numbers)?.classes.map(({ id }) => id)
    expect(ids(config, 'c0', 'c1')).toEqual([1, 2])
    expect(ids(other, 'c1')).toEqual([1, 2])
    expect(numbers.areLeaving).toBe(true)
    expect(ids(other, 'c1')).toEqual([2])
    expect(numbers.areLeaving).toBe(false)
    // Who comes back in time keeps his.
    expect(ids(config, 'c0')).toEqual([2, 3])
    expect(ids(config, 'c0', 'c1')).toEqual([2, 3])
  })
  test('who is held to less is not taken for nobody', async () => {
    const unknown = async (yaml: string) =>
      assign(await configOf(yaml), undefined, new ClassNumbers())?.unknown
    expect(await unknown('policies: { a: { match: { network: x } } }\n')).toBe('common')
    expect(await unknown('policies: { a: { match: { network: x }, inherit: false } }\n')).toBe('deny')
    expect(await unknown('guard: { unknown: deny }\npolicies: { a: { match: { network: x } } }\n')).toBe(
      'deny',
    )
  })
})
