import { cidrContains } from '../net/cidr.ts'
import { familyOf, type Address, type Family, type Protocol } from '../net/types.ts'
import { LOOPBACK } from '../net/ranges.ts'
import { classMark, type MarkLayout } from '../config/marks.ts'
import { CHAIN } from '../dataplane/names.ts'
import { trace, type Packet, type Trace } from '../dataplane/trace.ts'
import type { HostDrivers } from '../host/drivers.ts'
import type { SavedFamilies } from '../targets/iptables/driver.ts'
import type { Saved } from '../targets/iptables/parse.ts'
import { marksByAddress } from '../targets/bindings/elements.ts'
import type { SavedBindings } from '../targets/bindings/render.ts'
import type { SavedBackstop } from '../targets/backstop/parse.ts'
import type { Network } from '../workloads/model.ts'
import { hookOf, jumpsTo, readChains } from './ruleset.ts'
import type { Source, Way } from './source.ts'

/** What happens to the first packet of a connection, and why. */
export interface Judgement {
  readonly address: Address
  readonly allowed: boolean
  /** What decides, in words. */
  readonly because: string
  /** The rules that it passes, in their order. */
  readonly path: readonly string[]
  readonly provisos: readonly string[]
}

export interface KernelView {
  readonly rules: SavedFamilies
  readonly backstop: SavedBackstop | undefined
  readonly bindings: SavedBindings | undefined
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

export type AskSets = Pick<HostDrivers['ipset'], 'holding'>

/** Follows the packet through the kernel's rules and sets, and through what the engine itself forbids behind them. */
export async function judge(input: JudgeInput, ipset: AskSets): Promise<Judgement> {
  const { source, destination } = input
  const say = (allowed: boolean, because: string, walk?: Trace): Judgement => ({
    address: destination,
    allowed,
    because,
    path: walk?.path ?? [],
    provisos: walk?.provisos ?? [],
  })
  const family = familyOf(destination)
  const ways = source.ways.filter((one) => hasFamily(one, family))
  const way =
    ways.find(({ network }) => contains(network, destination)) ??
    ways.find(({ routes }) => routes.includes(family))
  if (!way)
    return say(false, ways.length === 0 ? noAddress(family) : 'no route leads there: its network is internal')
  const toHost = input.isHostAddress(destination)
  if (!toHost && contains(way.network, destination))
    return say(true, 'it is on the same network, which is not filtered')
  const saved = input.kernel.rules[family]
  const behind = forbiddenBehind(input, way, saved)
  if (port53(input) && jumpsTo(saved, 'PREROUTING', CHAIN.nat, 'nat'))
    return {
      ...say(true, 'it is led to the DNS gateway'),
      provisos: ['the name that is asked for decides whether there is an answer'],
    }
  const stands = toHost ? jumpsTo(saved, 'INPUT', CHAIN.input) : hookOf(saved) !== undefined
  if (!stands) {
    if (!toHost && backstopDrops(input, way))
      return say(false, 'the rules are not in place, so the backstop drops everything from bridges')
    if (behind !== undefined) return say(false, behind)
    return say(
      true,
      toHost ? `no rule of ours stands before it: ${HOST_DECIDES}` : 'no rule of ours is in its way',
    )
  }
  const walked = await follow(input, way, toHost ? CHAIN.input : CHAIN.forward, ipset)
  const last = decisive(walked)
  if (walked.verdict !== 'returned') return say(false, `${last} (${walked.verdict})`, walked)
  if (!toHost && !walked.approved && backstopDrops(input, way))
    return say(false, `the backstop drops what no rule approved: ${last}`, walked)
  if (behind !== undefined) return say(false, behind, walked)
  return say(true, toHost ? `${last}; ${HOST_DECIDES}` : last, walked)
}

/** As {@link judge}, for a container on the host's network, with the class of rights that the kernel gives to its control group. */
export async function judgeOnHost(
  input: Pick<JudgeInput, 'destination' | 'protocol' | 'port' | 'isHostAddress'> & {
    readonly class: number
    /** The mark layout of the config. */
    readonly marks: MarkLayout
    readonly rules: SavedFamilies
  },
  ipset: AskSets,
): Promise<Judgement> {
  const { destination, protocol, port } = input
  const saved = input.rules[familyOf(destination)]
  if (!jumpsTo(saved, 'OUTPUT', CHAIN.output))
    return {
      address: destination,
      allowed: true,
      because: 'no rule of ours stands in OUTPUT',
      path: [],
      provisos: [],
    }
  const toHost =
    input.isHostAddress(destination) ||
    LOOPBACK[familyOf(destination)].some((cidr) => cidrContains(cidr, destination))
  const packet: Packet = {
    inInterface: '',
    ...(toHost ? { outInterface: 'lo' } : {}),
    destination,
    protocol,
    port,
    mark: (input.marks.hostNetwork | classMark(input.marks, input.class)) >>> 0,
  }
  const walked = await walk(CHAIN.output, packet, undefined, saved, ipset)
  const allowed = walked.verdict === 'returned'
  const because = allowed ? decisive(walked) : `${decisive(walked)} (${walked.verdict})`
  return { address: destination, allowed, because, path: walked.path, provisos: walked.provisos }
}

const port53 = ({ protocol, port }: JudgeInput): boolean =>
  port === 53 && (protocol === 'udp' || protocol === 'tcp')

/** The last rule that decides something. The chains of denial only carry out what the rule before them decided. */
const decisive = ({ path }: Trace): string =>
  path.findLast((step) => !step.startsWith('EMBARGOD-D-')) ?? 'no rule of ours meets it'

const HOST_DECIDES = "it goes to the host itself: the host's own firewall decides"

const noAddress = (family: Family): string => `the container has no IPv${family} address`
/** The container cannot send there at all. A client tries the other addresses of the name then. */
export const isUnusable = ({ address, because }: Judgement): boolean =>
  because === noAddress(familyOf(address))

const hasFamily = ({ addresses, network }: Way, family: Family): boolean =>
  addresses ? addresses.some((one) => familyOf(one) === family) : family === 4 || network.ipv6

/** What the engine's own rules forbid behind ours. Old engines have no rules for IPv6, so they isolate no networks there. */
function forbiddenBehind(
  { destination, networks, isHostAddress }: JudgeInput,
  way: Way,
  saved: Saved,
): string | undefined {
  const chains = saved.tables.get('filter')?.chains
  if (!ENGINE_CHAINS.some((name) => chains?.has(name))) return undefined
  if (isHostAddress(destination)) return undefined
  if (way.network.internal) return 'the network is internal: the engine lets nothing out of it'
  const other = networks.find((network) => network.bridge !== undefined && contains(network, destination))
  return other && `the engine keeps networks apart, and this is in ${other.name}`
}

/** Chains of engines up to 27, and from 28 on. */
const ENGINE_CHAINS = ['DOCKER-ISOLATION-STAGE-1', 'DOCKER-FORWARD']

const contains = (network: Network, address: Address): boolean =>
  network.subnets.some((subnet) => cidrContains(subnet, address))

const backstopDrops = ({ kernel }: JudgeInput, { bridge }: Way): boolean =>
  kernel.backstop !== undefined && !kernel.backstop.open.includes(bridge)

/** The mark of rights on packets from this address; 0 where no running container has it. */
const markOf = (bindings: SavedBindings | undefined, from: Address | undefined): number =>
  (from !== undefined && bindings && marksByAddress(bindings).get(from)) || 0

function follow(input: JudgeInput, way: Way, chain: string, ipset: AskSets): Promise<Trace> {
  const { destination, protocol, port, kernel } = input
  const from = way.addresses?.find((one) => familyOf(one) === familyOf(destination))
  const mark = markOf(kernel.bindings, from)
  const packet = { inInterface: way.bridge, destination, protocol, port, mark }
  return walk(chain, packet, from, kernel.rules[familyOf(destination)], ipset)
}

/** Asks the kernel about every set that the chains name, then walks. */
async function walk(
  chain: string,
  packet: Packet,
  from: Address | undefined,
  saved: Saved,
  ipset: AskSets,
): Promise<Trace> {
  const { destination, protocol, port } = packet
  const chains = readChains(saved)
  const elementFor = (fields: string): string | undefined => {
    if (fields === 'dst') return destination
    if (fields === 'src') return from
    if (fields === 'dst,dst') return port === undefined ? undefined : `${destination},${protocol}:${port}`
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
  return trace(chain, packet, { chains, inSet: (set) => holding.has(set) })
}
