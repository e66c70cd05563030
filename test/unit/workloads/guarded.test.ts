import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../src/config/marks.ts'
import type { GuardConfig } from '../../../src/config/model.ts'
import type { HostInterface } from '../../../src/system/host.ts'
import { decideInterfaces } from '../../../src/workloads/guarded.ts'
import type { Inventory } from '../../../src/workloads/model.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { SettlingBridges } from '../../../src/workloads/settling.ts'
import { defaultBridgeJson, networkJson } from '../../support/docker-json.ts'

const GUARD_ALL: GuardConfig = {
  networks: 'all',
  except: [],
  ignoreInterfaces: [],
  marks: DEFAULT_MARKS,
  mark: 0x2000_0000,
  hostServices: 'all',
  hostNetwork: false,
  holdNewMs: 1_000,
  inbound: 'published',
  unknown: 'common',
  labels: 'ignore',
}
const GENERATED = 'br-0123456789ab'

const bridge = (name: string): HostInterface => ({
  name,
  kind: 'bridge',
  index: 3,
  isBridge: true,
  lower: undefined,
  ports: [],
  addresses: [],
})
const hostWith = (...names: string[]): HostInterface[] => [
  { name: 'eth0', index: 2, kind: undefined, isBridge: false, lower: undefined, ports: [], addresses: [] },
  ...names.map(bridge),
]
const inventoryOf = (...networks: unknown[]): Inventory => parseInventory({ networks, containers: [] }).value
const custom = (name: string, bridgeName: string) =>
  networkJson({
    Name: name,
    Id: name.padEnd(64, '0'),
    Options: { 'com.docker.network.bridge.name': bridgeName },
  })

const summary = (plan: ReturnType<typeof decideInterfaces>) => ({
  guarded: plan.guarded.map((one) => one.bridge),
  open: Object.fromEntries(plan.open.map((one) => [one.name, one.why])),
  foreign: plan.foreign,
})

describe('before the engine is heard', () => {
  test('bridges of its naming are guarded and nothing is opened', () => {
    expect(
      summary(decideInterfaces(undefined, hostWith('docker0', GENERATED, 'virbr0', 'br-lan'), GUARD_ALL)),
    ).toEqual({
      guarded: [GENERATED, 'docker0', 'docker_gwbridge'],
      open: {},
      foreign: [],
    })
  })

  test('an ignored bridge is open, yet no pattern opens what bears a name of the engine', () => {
    const guard = { ...GUARD_ALL, ignoreInterfaces: ['virbr*', 'br-*', 'docker0'] }
    expect(
      summary(
        decideInterfaces(undefined, hostWith('docker0', GENERATED, 'virbr0', 'br-lan', 'lxcbr0'), guard),
      ),
    ).toEqual({
      guarded: [GENERATED, 'docker0', 'docker_gwbridge'],
      open: { virbr0: 'ignored interface', 'br-lan': 'ignored interface' },
      foreign: [],
    })
  })

  test('an exception by network name opens nothing: whose bridge it is, nobody has said', () => {
    const guard = { ...GUARD_ALL, except: ['bridge', 'shop_default'] }
    expect(summary(decideInterfaces(undefined, hostWith('docker0', GENERATED), guard)).open).toEqual({})
  })
})

describe('with the list of the engine', () => {
  test('a custom-named bridge is guarded, with its facts, before the host shows it', () => {
    const plan = decideInterfaces(
      inventoryOf(defaultBridgeJson(), custom('pay', 'paynet0')),
      hostWith('docker0'),
      GUARD_ALL,
    )
    expect(plan.guarded.find((one) => one.bridge === 'paynet0')).toMatchObject({
      networkName: 'pay',
      subnets: ['172.18.0.0/16'],
      internal: false,
    })
  })

  test('bridges of others are open; those that look like container networks are named', () => {
    const hosts = hostWith('docker0', 'virbr0', 'lxcbr0', 'podman0', 'br-lan', GENERATED)
    expect(summary(decideInterfaces(inventoryOf(defaultBridgeJson()), hosts, GUARD_ALL))).toEqual({
      guarded: [GENERATED, 'docker0', 'docker_gwbridge'],
      open: {
        'br-lan': 'not a Docker bridge',
        lxcbr0: 'not a Docker bridge',
        podman0: 'not a Docker bridge',
        virbr0: 'not a Docker bridge',
      },
      foreign: ['br-lan'],
    })
  })

  test('excepted networks are open, also where their bridge bears a name of the engine', () => {
    const list = inventoryOf(defaultBridgeJson(), networkJson(), custom('pay', 'paynet0'))
    const hosts = hostWith('docker0', 'br-b0c1d2e3f4a5', 'paynet0')
    expect(
      summary(decideInterfaces(list, hosts, { ...GUARD_ALL, except: ['bridge', 'shop_default'] })),
    ).toMatchObject({
      guarded: ['docker_gwbridge', 'paynet0'],
      open: { docker0: 'excepted network', 'br-b0c1d2e3f4a5': 'excepted network' },
    })
    expect(summary(decideInterfaces(list, hosts, { ...GUARD_ALL, networks: ['pay'] }))).toMatchObject({
      guarded: ['docker_gwbridge', 'paynet0'],
      open: { docker0: 'excepted network', 'br-b0c1d2e3f4a5': 'excepted network' },
    })
  })

  test('a guarded network wins over an excepted one on the same bridge, and over an ignore pattern', () => {
    const list = inventoryOf(custom('a', 'shared0'), custom('b', 'shared0'))
    const guard = { ...GUARD_ALL, except: ['a'], ignoreInterfaces: ['shared*'] }
    const plan = summary(decideInterfaces(list, hostWith('shared0'), guard))
    expect(plan.guarded).toContain('shared0')
    expect(plan.open).toEqual({})
  })

  test('a bridge whose name cannot stand in a rule is not opened', () => {
    const plan = decideInterfaces(inventoryOf(custom('odd', 'odd+')), hostWith('odd+'), GUARD_ALL)
    expect(plan.open).toEqual([])
  })
})

test('a bridge that has just appeared is guarded, and not foreign, until a listing that the engine had time for', () => {
  const settling = new SettlingBridges(10_000)
  settling.appeared('br-new', 1_000)
  const plan = () =>
    summary(
      decideInterfaces(inventoryOf(defaultBridgeJson()), hostWith('br-new'), GUARD_ALL, settling.names()),
    )
  expect(plan()).toMatchObject({ open: {}, foreign: [] })
  expect(plan().guarded).toContain('br-new')
  expect(settling.nextListingAtMs()).toBe(11_000)
  settling.listed(10_999)
  expect(plan()).toMatchObject({ open: {}, foreign: [] })
  settling.listed(11_000)
  expect(plan()).toMatchObject({ open: { 'br-new': 'not a Docker bridge' }, foreign: ['br-new'] })
  expect(settling.nextListingAtMs()).toBeUndefined()
})

test('a bridge that went and came again is young again; one that changes is not', () => {
  const settling = new SettlingBridges(10_000)
  settling.appeared('br-new', 1_000)
  settling.appeared('br-new', 5_000)
  expect(settling.nextListingAtMs()).toBe(11_000)
  settling.vanished('br-new')
  settling.appeared('br-new', 6_000)
  expect(settling.nextListingAtMs()).toBe(16_000)
})

test('nothing is both guarded and open, and without a list only ignored bridges are open', () => {
  const name = fc.constantFrom('docker0', 'docker_gwbridge', GENERATED, 'br-lan', 'virbr0', 'paynet0', 'odd+')
  const networkName = fc.constantFrom<string[]>('bridge', 'pay', 'shop')
  const guard = fc.record({
    networks: fc.oneof(fc.constant('all' as const), fc.array(networkName)),
    except: fc.array(networkName),
    ignoreInterfaces: fc.array(fc.oneof(name, fc.constant('br-*'), fc.constant('*'))),
    marks: fc.constant(DEFAULT_MARKS),
    mark: fc.constant(1),
  })
  const list = fc.option(
    fc.array(fc.tuple(networkName, name)).map((pairs) => inventoryOf(...pairs.map(([a, b]) => custom(a, b)))),
    { nil: undefined },
  )
  fc.assert(
    fc.property(list, fc.uniqueArray(name), guard, (inventory, bridges, config) => {
      const { guarded, open } = summary(decideInterfaces(inventory, hostWith(...bridges), config))
      for (const one of guarded) expect(open).not.toHaveProperty([one])
      if (!inventory) expect(Object.values(open).every((why) => why === 'ignored interface')).toBe(true)
      for (const network of inventory?.networks ?? []) {
        const excepted =
          config.except.includes(network.name) ||
          (config.networks !== 'all' && !config.networks.includes(network.name))
        if (!excepted && network.bridge) expect(guarded).toContain(network.bridge)
      }
    }),
  )
})

describe('interfaces on top of a guarded bridge', () => {
  const link = (name: string, kind: string, lower: string | undefined): HostInterface => ({
    name,
    index: 9,
    kind,
    isBridge: false,
    lower,
    ports: [],
    addresses: [],
  })
  const withPort = (name: string, port: string): HostInterface => ({
    ...bridge(name),
    ports: [{ index: 8, name: port, kind: 'veth' }],
  })
  const stacked = (...interfaces: HostInterface[]): readonly string[] =>
    decideInterfaces(inventoryOf(defaultBridgeJson()), interfaces, GUARD_ALL).stacked

  test.each<[string, HostInterface[], string[]]>([
    ['a VLAN', [bridge('docker0'), link('docker0.7', 'vlan', 'docker0')], ['docker0.7']],
    [
      'a macvlan on a VLAN, told in whatever order',
      [link('m0', 'macvlan', 'docker0.7'), bridge('docker0'), link('docker0.7', 'vlan', 'docker0')],
      ['docker0.7', 'm0'],
    ],
    ['a pair with a leg in the bridge', [withPort('docker0', 'leg'), link('door', 'veth', 'leg')], ['door']],
    [
      'a pair that the engine is about to give to a container',
      [withPort('docker0', 'veth0a1b2c3'), link('veth1d2e3f4', 'veth', 'veth0a1b2c3')],
      [],
    ],
    [
      'the VRF that it is in',
      [
        bridge('docker0'),
        { ...link('vrf0', 'vrf', undefined), ports: [{ index: 3, name: 'docker0', kind: 'bridge' }] },
      ],
      ['vrf0'],
    ],
    ['a VLAN of an uplink', [bridge('docker0'), link('eth0.7', 'vlan', 'eth0')], []],
    ['a VLAN of a bridge that is not ours', [bridge('virbr0'), link('virbr0.7', 'vlan', 'virbr0')], []],
    ['one whose name no rule can bear', [bridge('docker0'), link('door+', 'macvlan', 'docker0')], []],
  ])('%s', (_, interfaces, expected) => expect(stacked(...interfaces)).toEqual(expected))
})

test('a link that is left alone is known by its number, and one that is not there is not opened', () => {
  const list = inventoryOf(defaultBridgeJson(), custom('pay', 'paynet0'))
  const guard = { ...GUARD_ALL, except: ['pay'] }
  const open = (...interfaces: HostInterface[]) => decideInterfaces(list, interfaces, guard).open
  expect(open(bridge('docker0'))).toEqual([])
  expect(open(bridge('docker0'), { ...bridge('paynet0'), index: 77 })).toEqual([
    { name: 'paynet0', index: 77, why: 'excepted network' },
  ])
})
