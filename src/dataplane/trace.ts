import { bytesOf } from '../net/address.ts'
import { cidrTest } from '../net/cidr.ts'
import { familyOf, type Address, type Protocol } from '../net/types.ts'
import { ECHO_REQUEST } from './icmp.ts'
import type { RuleMatch, RuleTarget } from './model.ts'

/** The first packet of a connection, as the firewall sees it. */
export interface Packet {
  /** Empty: it is the host's own. */
  readonly inInterface: string
  /** Where that is known, as it is of what goes to the host itself. */
  readonly outInterface?: string
  readonly destination: Address
  readonly protocol: Protocol
  readonly port: number | undefined
  /** As the bridge gave it, which tells the rights of the source; absent: none. */
  readonly mark?: number
}

export interface TraceRule {
  readonly matches: readonly RuleMatch[]
  readonly target: RuleTarget | undefined
  readonly unknown: readonly string[]
  /** What stands in its comment, or the rule itself where it is somebody else's. */
  readonly words: string
}

export interface TraceInput {
  readonly chains: ReadonlyMap<string, readonly TraceRule[]>
  /** Is the packet in a set, by the fields of the match (`dst`, `src,dst,dst`)? */
  readonly inSet: (set: string, fields: string) => boolean
}

export interface Trace {
  /** `returned`: we let it pass, what follows us decides; approved says whether the backstop does too. */
  readonly verdict: 'returned' | 'dropped' | 'rejected'
  readonly approved: boolean
  /** The rules that decided, outermost first, each as `CHAIN: words`. */
  readonly path: readonly string[]
  /** Things that the verdict depends on and that cannot be seen from here. */
  readonly provisos: readonly string[]
}

const DEEPEST = 16

/**
 * Walks a new packet through the chains as the kernel does: jump comes back, goto does not, the end of a chain returns.
 * @throws Error when a chain is missing or the walk does not end, which the kernel would not have taken.
 */
export function trace(chain: string, packet: Packet, input: TraceInput): Trace {
  const state = { mark: packet.mark ?? 0, approved: false, path: [] as string[], provisos: [] as string[] }
  const end = walk(chain, packet, input, state, 0)
  return {
    verdict: end ?? 'returned',
    approved: state.approved,
    path: state.path,
    provisos: state.provisos,
  }
}

interface Walk {
  mark: number
  approved: boolean
  readonly path: string[]
  readonly provisos: string[]
}

function walk(
  chain: string,
  packet: Packet,
  input: TraceInput,
  state: Walk,
  depth: number,
): 'dropped' | 'rejected' | undefined {
  const rules = input.chains.get(chain)
  if (!rules) throw new Error(`chain ${chain} is missing`)
  if (depth > DEEPEST) throw new Error(`chain ${chain} is reached over more than ${DEEPEST} others`)
  for (const rule of rules) {
    if (rule.unknown.length > 0) {
      state.provisos.push(`a rule in ${chain} that is not ours is not understood: ${rule.words}`)
      continue
    }
    if (!rule.matches.every((match) => matches(match, packet, input, state))) continue
    const { target } = rule
    if (!target || target.kind === 'log' || target.kind === 'setConnmark' || target.kind === 'keepMark')
      continue
    if (target.kind === 'setMark') {
      state.mark |= target.bit
      state.approved = true
      continue
    }
    if (target.kind === 'mark') {
      state.mark = (state.mark & ~target.mask) | target.value
      continue
    }
    if (target.kind === 'takeMark') {
      // A new connection bears nothing.
      state.mark &= ~target.mask
      continue
    }
    if (target.kind === 'clearMark') {
      state.mark &= ~target.bit
      state.approved = false
      continue
    }
    const before = state.path.length
    state.path.push(`${chain}: ${rule.words}`)
    if (target.kind === 'return' || target.kind === 'accept') return undefined
    if (target.kind === 'drop') return 'dropped'
    if (target.kind === 'reject') return 'rejected'
    if (!('chain' in target)) continue
    const marked = state.mark
    const end = walk(target.chain, packet, input, state, depth + 1)
    if (end || target.kind === 'goto') return end
    // A jump that came back without approving decided nothing.
    if (state.mark === marked) state.path.length = before
  }
  return undefined
}

function matches(match: RuleMatch, packet: Packet, input: TraceInput, state: Walk): boolean {
  switch (match.kind) {
    case 'in':
      return match.name.endsWith('+')
        ? packet.inInterface.startsWith(match.name.slice(0, -1))
        : packet.inInterface === match.name
    case 'out':
      return match.name === packet.outInterface
    case 'toHost':
      return packet.outInterface === 'lo'
    case 'destination':
      return cidrTest(match.cidr)(bytesOf(packet.destination))
    case 'protocol':
      return match.protocol === packet.protocol
    // A packet has a protocol that can be allowed by name.
    case 'protocolNumber':
      return false
    case 'icmpType':
      return packet.protocol === 'icmp' && match.type === ECHO_REQUEST[familyOf(packet.destination)]
    case 'ports':
      return (
        match.protocol === packet.protocol &&
        match.ranges.some(
          ({ from, to }) => packet.port !== undefined && packet.port >= from && packet.port <= to,
        )
      )
    case 'set':
      return input.inSet(match.set, match.fields) !== (match.negate ?? false)
    case 'state':
      return match.states.includes('NEW') !== (match.negate ?? false)
    case 'mark':
      return ((state.mark & match.mask) >>> 0 === match.value) !== (match.negate ?? false)
    case 'bridged':
      return match.negate ?? false
    case 'hashlimit':
      if (match.limit.side === 'upto') return true
      state.provisos.push(`as long as the budget of ${match.limit.count} a ${match.limit.per} lasts`)
      return false
    // A new connection has no direction of reply, no mark, no rewritten destination; its source is its own.
    case 'direction':
      return match.direction === 'ORIGINAL'
    case 'connmark':
      return (match.value === 0) !== (match.negate ?? false)
    case 'originalDestination':
    case 'originalPort':
    case 'forgedSource':
    case 'reservedFrame':
    case 'quotesOwn':
      return false
    default:
      return match satisfies never
  }
}
