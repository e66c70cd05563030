import { cidrContains } from '../net/cidr.ts'
import { familyOf, type Address, type Protocol } from '../net/types.ts'
import { CHAIN } from '../dataplane/names.ts'
import { trace, type Trace } from '../dataplane/trace.ts'
import type { HostDrivers } from '../host/drivers.ts'
import type { SavedFamilies } from '../iptables/driver.ts'
import type { SavedBackstop } from '../nftables/backstop.ts'
import type { Network } from '../workloads/model.ts'
import { hookOf, readChains } from './ruleset.ts'
import type { Source } from './source.ts'

/** What becomes of the first packet of a connection, and why. */
export interface Judgement {
  readonly address: Address
  readonly allowed: boolean
  /** What decides, in words. */
  readonly because: string
  /** The rules that it meets, outermost first. */
  readonly path: readonly string[]
  readonly provisos: readonly string[]
}

export interface KernelView {
  readonly rules: SavedFamilies
  readonly backstop: SavedBackstop | undefined
}

export interface JudgeInput {
  readonly source: Extract<Source, { kind: 'bridge' }>
  readonly destination: Address
  readonly protocol: Protocol
  readonly port: number | undefined
  readonly kernel: KernelView
  readonly networks: readonly Network[]
  readonly isHostAddress: (address: Address) => boolean
}

/** Follows the packet through the kernel's rules and sets, and through what the engine itself forbids behind them. */
export async function judge(input: JudgeInput, ipset: HostDrivers['ipset']): Promise<Judgement> {
  const { source, destination } = input
  const say = (allowed: boolean, because: string, walk?: Trace): Judgement => ({
    address: destination,
    allowed,
    because,
    path: walk?.path ?? [],
    provisos: walk?.provisos ?? [],
  })
  if (
    source.attached.some((network) => contains(network, destination)) &&
    !input.isHostAddress(destination)
  ) {
    return say(true, 'it is on the same network, which is not filtered')
  }
  if (
    familyOf(destination) === 6 &&
    source.endpoint &&
    !source.endpoint.addresses.some((one) => familyOf(one) === 6)
  ) {
    return say(false, 'the container has no IPv6 address')
  }
  const saved = input.kernel.rules[familyOf(destination)]
  const toHost = input.isHostAddress(destination)
  const reached = toHost
    ? (saved.tables
        .get('filter')
        ?.chains.get('INPUT')
        ?.rules.some((rule) => rule.target === CHAIN.input) ?? false)
    : hookOf(saved) !== undefined
  if (!reached) return withoutRules(input, toHost, say)
  const walk = await follow(input, toHost ? CHAIN.input : CHAIN.forward, ipset)
  // The chains of denial only carry out what the rule before them decided.
  const last = walk.path.findLast((step) => !step.startsWith('EMBARGOD-D-')) ?? 'no rule of ours meets it'
  if (walk.verdict !== 'returned') return say(false, `${last} (${walk.verdict})`, walk)
  if (toHost) return say(true, "it goes to the host itself: the host's own firewall decides", walk)
  if (!walk.approved && backstopDrops(input))
    return say(false, `the backstop drops what no rule approved: ${last}`, walk)
  if (source.network.internal)
    return say(false, 'the network is internal: the engine lets nothing out of it', walk)
  const other = input.networks.find(
    (network) => network.bridge !== undefined && contains(network, destination),
  )
  if (other) return say(false, `the engine keeps networks apart, and this is in ${other.name}`, walk)
  return say(true, last, walk)
}

const contains = (network: Network, address: Address): boolean =>
  network.subnets.some((subnet) => cidrContains(subnet, address))

const backstopDrops = ({ kernel, source }: JudgeInput): boolean =>
  kernel.backstop !== undefined && !kernel.backstop.open.includes(source.bridge)

function withoutRules(
  input: JudgeInput,
  toHost: boolean,
  say: (allowed: boolean, because: string) => Judgement,
): Judgement {
  if (toHost)
    return say(true, "no rule of ours stands before the host itself: the host's own firewall decides")
  if (backstopDrops(input))
    return say(false, 'the rules are not in place, so the backstop drops everything from bridges')
  return say(true, 'no rule of ours is in its way')
}

/** Asks the kernel about every set that the chains name, then walks. */
async function follow(input: JudgeInput, chain: string, ipset: HostDrivers['ipset']): Promise<Trace> {
  const { source, destination, protocol, port } = input
  const chains = readChains(input.kernel.rules[familyOf(destination)])
  const from = source.endpoint?.addresses.find((one) => familyOf(one) === familyOf(destination))
  const elementFor = (fields: string): string | undefined => {
    if (fields === 'dst') return destination
    if (fields === 'src,dst,dst' && from !== undefined && port !== undefined)
      return `${from},${protocol}:${port},${destination}`
    return undefined
  }
  const questions = [...chains.values()].flat().flatMap(({ matches }) =>
    matches.flatMap((match) => {
      const element = match.kind === 'set' ? elementFor(match.fields) : undefined
      return match.kind === 'set' && element !== undefined ? [{ set: match.set, element }] : []
    }),
  )
  const holding = await ipset.holding(questions)
  return trace(
    chain,
    { inInterface: source.bridge, destination, protocol, port },
    { chains, inSet: (set) => holding.has(set) },
  )
}
