import type { Flow } from '../../src/dataplane/flow.ts'
import { judgeFlows } from '../../src/dataplane/revoke.ts'
import { Membership } from '../../src/dataplane/membership.ts'
import { answerPolicyOf } from '../../src/daemon/askers.ts'
import type { Address, Cidr, Hostname } from '../../src/net/types.ts'
import { ClassNumbers } from '../../src/policy/class-numbers.ts'
import { assign } from '../../src/policy/classes.ts'
import { compile } from '../../src/policy/compile.ts'
import { Desired } from '../../src/reconcile/desired.ts'
import type { HostInterface } from '../../src/system/host.ts'
import { EventLines } from '../../src/workloads/docker/event-lines.ts'
import { decideInterfaces } from '../../src/workloads/guarded.ts'
import type { Container, Inventory } from '../../src/workloads/model.ts'
import { configOf, heldAddress, planOf, surroundingsOf } from '../support/builders.ts'
import { fakeEnv, MAIN, NOW_MS } from '../unit/config/files.ts'
import { loadConfig } from '../../src/config/load.ts'
import { addressOf, answerOf, gatewayWorld } from './bounds-world.ts'
import type { Figure } from './figure.ts'
import { growth, type Prepare } from './growth.ts'

const NAME = 'a.example.com'

/** Each kind of input that somebody outside chooses the amount of. */
export const bounds: Figure = {
  name: 'bounds',
  title: 'What grows with what comes from outside',
  method:
    'In one process, without an engine or a kernel: the work on n, 2n and 4n of each kind of input, the median time of the processor of three turns, and the memory that 4n leave in use. Linear work doubles with its input, give or take caches and the collector; quadratic work takes four times as long.',
  measure: async () => {
    const findings = []
    for (const [what, count, prepare] of KINDS) findings.push(await growth(what, count, prepare))
    return findings
  },
}

const asking =
  (isCached: boolean): Prepare =>
  async (count) => {
    const world = await gatewayWorld(`allow: [${NAME}]\n`)
    world.says(() => answerOf(NAME, 0, count))
    if (isCached) await world.ask({})
    return async () => [await world.ask({}), world]
  }

const lookedUp: Prepare = async (count) => {
  const world = await gatewayWorld(`allow: [${NAME}]\n`)
  const records = Array.from({ length: count }, (_, index) => ({ address: addressOf(index), ttlMs: 60_000 }))
  return () => {
    for (let turn = 0; turn < 10; turn++) {
      const lookup = { kind: 'addresses', records: turn % 2 ? records.toReversed() : records } as const
      world.addressStore.record(NAME as Hostname, 4, lookup, NOW_MS + turn, () => false)
      world.membership.refresh(NAME as Hostname, world.addressStore.liveAddresses(NAME as Hostname))
    }
    return world
  }
}

const belowWildcard: Prepare = async (count) => {
  const world = await gatewayWorld('allow: ["*.example.com"]\n')
  let asked = 0
  world.says(() => answerOf(`n${asked}.example.com`, asked, 1))
  return async () => {
    for (asked = 0; asked < count; asked++) await world.ask({ name: `n${asked}.example.com` })
    return world
  }
}

const sharedAddress: Prepare = async (count) => {
  const names = Array.from({ length: count }, (_, index) => `n${index}.example.com` as Hostname)
  const policies = compile(await configOf('allow: [a.example.com]\n'), [], NOW_MS)
  const [policy] = policies.policies
  const groups = (policy?.groups ?? []).map((group) => ({
    ...group,
    names: new Map(names.map((name) => [name, false])),
  }))
  const membership = new Membership()
  return () => {
    membership.rebuild({ ...policies, policies: policy ? [{ ...policy, groups }] : [] }, new Map(), () => [
      heldAddress('192.0.2.1'),
    ])
    return [membership, ...Array.from(membership.takeDirty().elements)]
  }
}

const container = (index: number, labels: Container['labels'] = {}): Container => ({
  id: `id${index}`,
  name: `c${index}`,
  running: true,
  pid: index + 1,
  networkMode: 'shop',
  runtime: index % 2 ? 'runc' : 'runsc',
  privileged: false,
  capAdd: [],
  capDrop: [],
  mounts: [],
  dns: [],
  publishedPorts: [],
  servedPorts: [],
  pidMode: '',
  cgroupnsMode: '',
  securityOpt: [],
  labels: { tier: `t${index % 7}`, ...labels },
  imageId: 'image',
  imageLabels: {},
  resolvConfPath: undefined,
  endpoints: [
    {
      networkId: `net${index % 50}`,
      networkName: `net${index % 50}`,
      addresses: [`172.18.${index >> 8}.${index & 255}` as Address],
      mac: undefined,
      gateways: [],
    },
  ],
})

const POLICIES = Array.from(
  { length: 7 },
  (_, index) => `  p${index}: { match: { label: tier=t${index} }, allow: [p${index}.example.com] }\n`,
).join('')
const inventoryWork = async (containers: readonly Container[]) => {
  const config = await configOf(`dns: { gateway: true }\nallow: [a.example.com]\npolicies:\n${POLICIES}`)
  const policies = compile(config, [], NOW_MS)
  const inventory: Inventory = { networks: [], containers }
  return () => {
    const rights = assign(config, inventory, new ClassNumbers())
    const hostFacts = surroundingsOf({ rights })
    return [rights, answerPolicyOf({ config, policies, hostFacts } as unknown as Desired, inventory)]
  }
}

const labels: Prepare = (count) => {
  const many = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`label-${index}`, `value ${index}`]),
  )
  return inventoryWork(Array.from({ length: 20 }, (_, index) => container(index, many)))
}

const networks: Prepare = async (count) => {
  const config = await configOf('allow: [a.example.com]\n')
  const policies = compile(config, [], NOW_MS)
  const all = Array.from({ length: count }, (_, index) => ({
    bridge: `br-${index.toString(16).padStart(12, '0')}`,
    subnets: [`172.${16 + (index >> 8)}.${index & 255}.0/24` as Cidr],
  }))
  const inventory: Inventory = {
    networks: all.map(({ bridge, subnets }) => ({
      id: bridge,
      name: bridge,
      driver: 'bridge',
      bridge,
      subnets,
      gateways: [],
      internal: false,
      ipv6: false,
    })),
    containers: [],
  }
  return () => {
    const plan = decideInterfaces(
      inventory,
      all.map(({ bridge }, index): HostInterface => ({
        index,
        name: bridge,
        kind: 'bridge',
        isBridge: true,
        lower: undefined,
        ports: [],
        addresses: [],
      })),
      config.guard,
    )
    const desired = new Desired({
      config,
      policies,
      hostFacts: surroundingsOf({ plan: planOf(all) }),
      generation: 1,
      liveAddresses: () => [],
    })
    return [plan, desired.dataplane()]
  }
}

const events: Prepare = (count) => {
  const lines = Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      Type: 'container',
      Action: 'exec_start: sh',
      Actor: { ID: `id${index}`, Attributes: { name: 'x' } },
    }),
  ).join('\n')
  return () => {
    const reader = new EventLines()
    const found = []
    for (let at = 0; at < lines.length; at += 65_536) found.push(...reader.push(lines.slice(at, at + 65_536)))
    return found
  }
}

/** Half of the flows go to addresses that a name held once, the other half to networks of the config; names and networks are as many as flows. */
const flows: Prepare = async (count) => {
  const list = Array.from(
    { length: count },
    (_, index) => `n${index}.example.com\n${addressOf(index)}/32\n`,
  ).join('')
  const { config } = await loadConfig(
    MAIN,
    fakeEnv({ [MAIN]: 'allow: [{ file: list, ports: [443] }]\n', '/etc/embargod/list': list }),
  )
  if (!config) throw new Error('the config of the bench is refused')
  const policies = compile(config, [], NOW_MS)
  const membership = new Membership()
  membership.rebuild(policies, new Map(), () => [])
  const all = Array.from({ length: count }, (_, index): Flow => ({
    protocol: 'tcp',
    source: '172.18.0.5' as Address,
    destination: (index % 2 ? addressOf(index) : `198.18.${(index >> 8) & 255}.${index & 255}`) as Address,
    port: 443,
    mark: 0,
  }))
  return () =>
    judgeFlows(all, {
      policies,
      membership,
      rightsOf: () => ({ policies: ['common'], metadata: false, smtpAnywhere: [] }),
      resolvers: [],
      sources: ['172.18.0.0/16' as Cidr],
      namesThatHad: (addresses) =>
        new Map(
          [...addresses].map((address, index) => [address, new Set([`n${index}.example.com` as Hostname])]),
        ),
      metadata: [],
      never: [],
    })
}

const entries: Prepare = (count) => {
  const list = Array.from({ length: count }, (_, index) =>
    index % 2 ? `n${index}.example.com` : addressOf(index),
  ).join('\n')
  const files = fakeEnv({
    [MAIN]: 'allow: [{ file: list, ports: [443] }]\nnever: [198.51.100.0/24]\n',
    '/etc/embargod/list': list,
  })
  return async () => {
    const { config, problems } = await loadConfig(MAIN, files)
    if (!config) throw new Error(problems[0]?.message)
    const policies = compile(config, [], NOW_MS)
    const membership = new Membership()
    membership.rebuild(policies, new Map(), () => [])
    return [config, policies, membership]
  }
}

/** What comes from outside, how many of it make n, and the work on so many. */
export const KINDS: readonly (readonly [string, number, Prepare])[] = [
  ['addresses in an answer to a container', 1_000, asking(false)],
  ['the same asked again, of which nothing is kept', 1_000, asking(true)],
  ['addresses in an answer to a look-up, ten times', 1_000, lookedUp],
  ['names below a wildcard, asked one after the other', 25_000, belowWildcard],
  ['names of one and the same address', 25_000, sharedAddress],
  ['labels of each of 20 containers', 1_000, labels],
  [
    'containers',
    250,
    (count) => inventoryWork(Array.from({ length: count }, (_, index) => container(index))),
  ],
  ['networks', 250, networks],
  ['events of the engine', 25_000, events],
  ['flows judged, with as many names and networks', 10_000, flows],
  ['entries of the config', 25_000, entries],
]
