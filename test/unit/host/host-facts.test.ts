import { expect, test } from 'vitest'
import { hostFactsOf, type HostSnapshot } from '../../../src/host/host-facts.ts'
import type { Address } from '../../../src/net/types.ts'
import type { Assignment } from '../../../src/policy/classes.ts'
import type { HostInterface } from '../../../src/system/host.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { planOf } from '../../support/builders.ts'
import { containerJson, networkJson, SHOP_ID } from '../../support/docker-json.ts'

const BRIDGE = 'br-0123456789ab'
const GATEWAY = '172.18.0.1' as Address

const bridge = (name: string, more: Partial<HostInterface> = {}): HostInterface => ({
  name,
  kind: 'bridge',
  index: 3,
  isBridge: true,
  lower: undefined,
  ports: [],
  addresses: [],
  ...more,
})
const veth = (name: string) => ({ index: 9, name, kind: 'veth', peer: undefined })

const RIGHTS: Assignment = { unknown: 'deny', classes: [], members: [], ignoredLabels: 0 }
const INVENTORY = parseInventory({
  networks: [networkJson({ Options: { 'com.docker.network.bridge.name': BRIDGE } })],
  containers: [
    containerJson({
      id: 'c1'.repeat(32),
      network: {
        Networks: { shop_default: { NetworkID: SHOP_ID, IPAddress: '172.18.0.2' } },
        Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }] },
      },
    }),
  ],
}).value

const factsOf = (more: Partial<HostSnapshot> = {}) =>
  hostFactsOf({
    inventory: INVENTORY,
    interfaces: [bridge(BRIDGE, { addresses: [GATEWAY], learnsReserved: true })],
    plan: planOf([{ bridge: BRIDGE }]),
    rights: RIGHTS,
    ports: [],
    canBind: true,
    resolvers: [],
    hostGroups: undefined,
    ...more,
  })

test('what the engine says of containers: who has an address, and which ports are served', () => {
  const { containers, served } = factsOf()
  expect(Object.fromEntries(containers)).toEqual({ '172.18.0.2': 'c1c1c1c1c1c1' })
  expect([...served.keys()]).toHaveLength(1)
})

test('while the engine was never heard the bindings in the kernel stay', () => {
  expect(factsOf({ inventory: undefined }).bindings).toBe('kept')
  expect(factsOf({ inventory: undefined, rights: undefined }).bindings).toBeUndefined()
})

test("the gateways of Docker's networks are no container's, and the ports of open bridges are spared", () => {
  const interfaces = [
    bridge(BRIDGE, { addresses: [GATEWAY], ports: [veth('veth1')] }),
    bridge('virbr0', { addresses: ['192.168.122.1' as Address], ports: [veth('vnet0'), veth('not usable')] }),
    bridge('br-other', { addresses: ['10.9.0.1' as Address], ports: [veth('veth9')] }),
  ]
  const plan = planOf([{ bridge: BRIDGE }], [{ name: 'virbr0', why: 'ignored interface', index: 4 }])
  expect(factsOf({ interfaces, plan }).bindings).toEqual({
    ports: [],
    gateways: [GATEWAY],
    spared: ['vnet0'],
  })
})

test('only guarded bridges are to stop learning, and only where containers have different rights', () => {
  const interfaces = [
    bridge(BRIDGE, { learnsReserved: true }),
    bridge('br-quiet', { learnsReserved: false }),
    bridge('br-other', { learnsReserved: true }),
  ]
  const plan = planOf([{ bridge: BRIDGE }, { bridge: 'br-quiet' }])
  expect(factsOf({ interfaces, plan }).learning).toEqual([BRIDGE])
  expect(factsOf({ interfaces, plan, rights: undefined }).learning).toEqual([])
})

test('networks decide about rights only where containers cannot be held to their ports', () => {
  const member = {
    container: { id: 'c1'.repeat(32), name: 'web', pid: 42 },
    networkId: SHOP_ID,
    network: 'shop_default',
    segments: ['shop_default'],
    mac: undefined,
    addresses: ['172.18.0.2' as Address],
    matched: [],
    class: 3,
  }
  const rights = { ...RIGHTS, members: [member] }
  expect(factsOf({ rights }).classOfBridge).toBeUndefined()
  expect(Object.fromEntries(factsOf({ rights, canBind: false }).classOfBridge ?? [])).toEqual({ [BRIDGE]: 3 })
})
