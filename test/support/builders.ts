import { ConntrackDriver } from '../../src/targets/conntrack/driver.ts'
import type { Config } from '../../src/config/model.ts'
import { trace, type Packet } from '../../src/dataplane/trace.ts'
import { CHAIN } from '../../src/dataplane/names.ts'
import { hookOf, readChains } from '../../src/inspect/ruleset.ts'
import { IpsetDriver } from '../../src/targets/ipset/driver.ts'
import { IptablesDriver } from '../../src/targets/iptables/driver.ts'
import { parseSave } from '../../src/targets/iptables/parse.ts'
import { familyOf, type Address, type Cidr, type Family, type Hostname } from '../../src/net/types.ts'
import { classify } from '../../src/net/ranges.ts'
import { BackstopDriver } from '../../src/targets/backstop/driver.ts'
import { parseBackstop } from '../../src/targets/backstop/parse.ts'
import { HostNetworkDriver } from '../../src/targets/host-network/driver.ts'
import { BindingsDriver } from '../../src/targets/bindings/driver.ts'
import { compile } from '../../src/policy/compile.ts'
import { Desired } from '../../src/reconcile/desired.ts'
import type { HostFacts } from '../../src/reconcile/host-facts.ts'
import { Firewall } from '../../src/reconcile/firewall.ts'
import type { Generation } from '../../src/reconcile/generation.ts'
import { PARTS, type Scope } from '../../src/targets/keeper.ts'
import type { LiveAddress } from '../../src/resolve/model.ts'
import type { InterfacePlan } from '../../src/workloads/guarded.ts'
import { load, NOW_MS } from '../unit/config/files.ts'
import type { FakeKernel } from './fake-kernel.ts'

export const WHOLE: Scope = { parts: new Set(PARTS), headers: true, read: [], everything: false }
export const NOTHING: Scope = { parts: new Set(), headers: false, read: [], everything: false }

/** A config as an operator writes it, parsed by the one parser; a refused one is the test's mistake. */
export async function configOf(yaml: string): Promise<Config> {
  const { config, problems } = await load(yaml)
  if (!config)
    throw new Error(`the test's config is refused: ${problems.map(({ message }) => message).join('; ')}`)
  return config
}

export const heldAddress = (text: string, nowMs = NOW_MS): LiveAddress => {
  const address = text as Address
  return {
    address,
    family: familyOf(address),
    private: classify(address) === 'private',
    seenAtMs: nowMs,
    expiresAtMs: nowMs + 600_000,
  }
}

export const SHOP = { bridge: 'br-0123456789ab', subnets: ['172.18.0.0/16', 'fd00:18::/64'] as Cidr[] }

export function planOf(
  guarded: readonly { readonly bridge: string; readonly subnets?: readonly Cidr[] }[] = [SHOP],
  open: InterfacePlan['open'] = [],
): InterfacePlan {
  return {
    guarded: guarded.map(({ bridge, subnets = [] }) => ({
      bridge,
      networkName: `net-${bridge}`,
      networkId: `id-${bridge}`,
      subnets,
      internal: false,
    })),
    open,
    stacked: [],
    foreign: [],
  }
}

export interface World {
  readonly yaml: string
  readonly names?: Readonly<Record<string, readonly string[]>>
  readonly resolvers?: readonly string[]
  readonly plan?: InterfacePlan
  readonly published?: Readonly<Record<string, string>>
  readonly served?: Readonly<Record<string, string>>
  readonly rights?: HostFacts['rights']
  readonly classOfBridge?: HostFacts['classOfBridge']
  readonly bindings?: HostFacts['bindings']
  readonly hostGroups?: HostFacts['hostGroups']
}

/** One process of ours over a kernel: what it wants, what it remembers, and its passes. */
export class TestFirewall {
  readonly everHeld = new Map<string, Set<string>>()
  readonly desired: Desired
  readonly firewall: Firewall
  readonly blind: unknown[] = []
  unforgotten: unknown
  readonly adopted: string[] = []
  readonly #held = new Map<string, readonly LiveAddress[]>()

  private constructor(
    readonly kernel: FakeKernel,
    config: Config,
    world: World,
    /** What is on disk. */
    public kept: Generation,
  ) {
    this.desired = new Desired({
      config,
      policies: compile(config, [], NOW_MS),
      hostFacts: surroundingsOf(world),
      generation: kept.generation,
      liveAddresses: (name) => this.#held.get(name) ?? [],
    })
    this.firewall = new Firewall({
      desired: this.desired,
      drivers: driversOf(kernel),
      conntrack: new ConntrackDriver(kernel.run),
      generation: kept,
      namesThatHad: (addresses) =>
        new Map(
          [...addresses].map((address) => [
            address,
            new Set(
              [...this.everHeld].flatMap(([name, ever]) => (ever.has(address) ? [name as Hostname] : [])),
            ),
          ]),
        ),
      keepGeneration: async (generation) => void (this.kept = generation),
      adopt: (known) => void this.adopted.push(...known.keys()),
      onBlind: (error) => void this.blind.push(error),
      onUnforgotten: (why) => void (this.unforgotten = why),
    })
    for (const [name, addresses] of Object.entries(world.names ?? {})) this.answer(name, addresses)
  }

  static async start(
    kernel: FakeKernel,
    world: World,
    kept: Generation = { generation: 1, digest: 'none' },
  ): Promise<TestFirewall> {
    return new TestFirewall(kernel, await configOf(world.yaml), world, kept)
  }

  /** A look-up brought these and nothing else. */
  answer(name: string, addresses: readonly string[]): void {
    const list = addresses.map((address) => heldAddress(address, this.kernel.nowMs))
    this.#held.set(name, list)
    const ever = this.everHeld.get(name) ?? new Set()
    for (const address of addresses) ever.add(address)
    this.everHeld.set(name, ever)
    this.desired.refreshNames([name as Hostname])
  }

  async reload(yaml: string): Promise<void> {
    const config = await configOf(yaml)
    const policies = compile(config, [], this.kernel.nowMs)
    for (const name of this.everHeld.keys()) {
      if (policies.names.has(name as Hostname)) continue
      this.everHeld.delete(name)
      this.#held.delete(name)
    }
    this.desired.setPolicy(config, policies)
  }

  pass(scope: Scope = WHOLE) {
    return this.firewall.pass(scope, this.kernel.nowMs)
  }
}

export const surroundingsOf = ({
  plan = planOf(),
  resolvers = ['198.51.100.53'],
  published = {},
  served = {},
  rights,
  classOfBridge,
  bindings,
  hostGroups,
}: Omit<World, 'yaml'>): HostFacts => ({
  plan,
  learning: [],
  resolvers: resolvers as Address[],
  containers: new Map(),
  published: new Map(Object.entries(published)),
  served: new Map(Object.entries(served)),
  rights,
  classOfBridge,
  bindings,
  hostGroups,
})

/** Each with its flavour of iptables settled: the fake has one. */
export const driversOf = (kernel: FakeKernel) => ({
  ipset: new IpsetDriver(kernel.run),
  iptables: new IptablesDriver(kernel.run, async () => ''),
  backstop: new BackstopDriver(kernel.run),
  bindings: new BindingsDriver(kernel.run),
  hostNetwork: new HostNetworkDriver(kernel.run),
})

/** Docker's own chains, as an engine leaves them, with rules of the operator's. */
export function dockerRules(kernel: FakeKernel): void {
  for (const family of [4, 6] as const) {
    kernel.rules[family].restore(
      [
        '*filter',
        ':DOCKER-USER - [0:0]',
        ':DOCKER - [0:0]',
        '-A FORWARD -j DOCKER-USER',
        '-A FORWARD -o docker0 -j DOCKER',
        '-A DOCKER-USER -i eth7 -m comment --comment "the operator\'s own" -j DROP',
        '-A DOCKER-USER -j RETURN',
        '-A INPUT -i lo -j ACCEPT',
        'COMMIT',
        '',
      ].join('\n'),
    )
  }
}

export interface Probe extends Packet {
  /** Needed for sets of flows only. */
  readonly source?: Address
}

export const packet = (
  to: string,
  port: number | undefined = 443,
  protocol: Packet['protocol'] = 'tcp',
  inInterface: string = SHOP.bridge,
): Probe => ({ destination: to as Address, port, protocol, inInterface })

export interface Outcome {
  /** Out it goes. */
  readonly passes: boolean
  /** What the rules alone say, without the second guard. */
  readonly rulesPass: boolean
  readonly verdict: 'returned' | 'dropped' | 'rejected'
  readonly approved: boolean
  readonly path: readonly string[]
}

/** What becomes of a packet, by what the kernel holds and by nothing that we remember. */
export function fateOf(kernel: FakeKernel, probe: Probe): Outcome {
  const family = familyOf(probe.destination)
  const { hook, chains } = understood(kernel.rules[family].save(), family)
  const walk =
    hook === undefined
      ? { verdict: 'returned' as const, approved: false, path: [] }
      : trace(CHAIN.forward, probe, { chains, inSet: membershipOf(kernel, probe) })
  const rulesPass = walk.verdict === 'returned'
  return { ...walk, rulesPass, passes: rulesPass && (walk.approved || !backstopHolds(kernel, probe)) }
}

/** Do our rules let a packet to the host itself go on to those behind them? */
export function reachesHost(kernel: FakeKernel, probe: Probe): boolean {
  const family = familyOf(probe.destination)
  const { chains } = understood(kernel.rules[family].save(), family)
  return trace(CHAIN.input, probe, { chains, inSet: membershipOf(kernel, probe) }).verdict === 'returned'
}

function membershipOf(kernel: FakeKernel, probe: Probe) {
  const { destination, protocol, port } = probe
  const source = probe.source ?? (familyOf(destination) === 4 ? '172.18.0.5' : 'fd00:18::5')
  const elements: Readonly<Record<string, string>> = {
    dst: destination,
    'dst,dst': `${destination},${protocol}:${port}`,
    'src,dst,dst': `${source},${protocol}:${port},${destination}`,
  }
  return (set: string, fields: string): boolean => {
    const element = elements[fields]
    return element !== undefined && kernel.sets.holds(set, element)
  }
}

const lastRead = new Map<Family, { readonly text: string; readonly read: ReturnType<typeof readRules> }>()

/** Many packets meet the same rules: read once. */
function understood(text: string, family: Family): ReturnType<typeof readRules> {
  const last = lastRead.get(family)
  if (last?.text === text) return last.read
  const read = readRules(text, family)
  lastRead.set(family, { text, read })
  return read
}

const readRules = (text: string, family: Family) => {
  const saved = parseSave(text, family)
  return { hook: hookOf(saved), chains: readChains(saved) }
}

/** Interfaces of probes are bridges unless their names say `eth`. */
function backstopHolds(kernel: FakeKernel, { inInterface }: Packet): boolean {
  if (kernel.backstop === undefined || inInterface.startsWith('eth')) return false
  const saved = parseBackstop(kernel.backstop)
  return saved.fingerprints.every((one) => one !== undefined) && !saved.open.includes(inInterface)
}
