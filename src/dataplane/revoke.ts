import { cidrTest } from '../net/cidr.ts'
import { bytesOf } from '../net/address.ts'
import { coversPort } from '../net/ports.ts'
import { INSTANCE_METADATA } from '../net/metadata.ts'
import {
  familyOf,
  type Address,
  type Cidr,
  type Hostname,
  type MaskedAddress,
  type PortList,
} from '../net/types.ts'
import { PRIVATE_RANGES } from './private-ranges.ts'
import { endOfAddress, NEVER_HELD } from '../policy/ends.ts'
import type { Policies } from '../policy/model.ts'
import type { Flow } from './flow.ts'
import { allowSet, lingerSet, revokedSet } from './names.ts'
import type { Membership } from './membership.ts'

/** What a change of rights means for live connections, as set elements (`source,protocol:port,destination`). */
export interface FlowVerdicts {
  /** Flows whose address a rule still in force once held, with the end of that right: asked for established connections only. */
  readonly linger: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** Flows that no rule in force ever covered. */
  readonly revoked: ReadonlyMap<string, readonly string[]>
  /** Those of them that lead to another container, and those to one that have no ports. */
  readonly between: readonly Flow[]
}

export interface SourceRights {
  /** Whose allow lists hold, by their ids. */
  readonly policies: readonly string[]
  /** May it ask the cloud for the data of this machine? */
  readonly metadata: boolean
  /** Mail ports that may go anywhere. */
  readonly smtpAnywhere: readonly number[]
}

export interface RevokeInput {
  readonly policies: Policies
  readonly membership: Membership
  /** What who has this address may do. */
  readonly rightsOf: (source: Address) => SourceRights
  readonly resolvers: readonly Address[]
  /** Subnets of guarded networks: flows from elsewhere are not ours. */
  readonly sources: readonly Cidr[]
  /** Of these addresses, which names hold or held each. */
  readonly namesThatHad: (addresses: ReadonlySet<Address>) => ReadonlyMap<Address, ReadonlySet<Hostname>>
  /** Forbidden but for DNS: a resolver may be a metadata address. */
  readonly metadata: readonly MaskedAddress[]
  readonly never: readonly MaskedAddress[]
}

/** Judges every flow from a guarded network by the rules in force. Pure: nothing is asked of the kernel. */
export function judgeFlows(flows: readonly Flow[], input: RevokeInput): FlowVerdicts {
  const linger = new Map<string, Map<string, number>>()
  const revoked = new Map<string, string[]>()
  const isSource = anyOf(input.sources)
  const isBridged = withinOne(input.sources)
  const isForbidden = anyOf([...input.metadata, ...input.never])
  const judge = permission(input)
  const between: Flow[] = []
  const forbidden: { readonly flow: Flow; readonly tuple: string }[] = []
  for (const flow of flows) {
    const tuple = tupleOf(flow)
    // What stays within one network is nobody's right to give or take.
    if (!isSource(flow.source) || isBridged(flow)) continue
    if (tuple === undefined && !isSource(flow.destination)) continue
    if (judge(flow)) continue
    if (tuple === undefined) between.push(flow)
    else forbidden.push({ flow, tuple })
  }
  // Asked once for all of them: flows and names are many, and each with each would be too many.
  const history = input.namesThatHad(new Set(forbidden.map(({ flow }) => flow.destination)))
  const groups = input.policies.policies.flatMap(({ id, groups: all }) =>
    all.map((group) => ({ id, ...group })),
  )
  for (const { flow, tuple } of forbidden) {
    const family = familyOf(flow.destination)
    const heldBy = [...(history.get(flow.destination) ?? [])]
    const { policies } = input.rightsOf(flow.source)
    // The latest end of the rights in force under which the address was held once.
    const endMs = Math.max(
      NEVER_HELD,
      ...(isForbidden(flow.destination) ? [] : groups)
        .filter(({ id, ports }) => policies.includes(id) && covers(ports, flow))
        .flatMap(({ names, ends }) =>
          heldBy.filter((name) => names.has(name)).map((name) => endOfAddress(ends, name, flow.destination)),
        ),
    )
    if (endMs === NEVER_HELD) {
      push(revoked, revokedSet(family), tuple)
      if (isSource(flow.destination)) between.push(flow)
    } else {
      const lingering = linger.get(lingerSet(family)) ?? new Map<string, number>()
      linger.set(lingerSet(family), lingering.set(tuple, endMs))
    }
  }
  return { linger, revoked, between }
}

/**
 * Whether the rules in force allow a flow: made once, asked for many flows. It judges in the order of the rules: DNS to a resolver that is a
 * metadata address, metadata, never, and only then what is allowed.
 */
export function permission(input: RevokeInput): (flow: Flow) => boolean {
  const isMetadata = anyOf(input.metadata)
  const isNever = anyOf(input.never)
  return (flow) => {
    if (isMetadata(flow.destination)) return isDns(flow, input) || isInstanceData(flow, input)
    return !isNever(flow.destination) && isAllowed(flow, input)
  }
}

const isDns = ({ protocol, port, destination }: Flow, { resolvers }: RevokeInput): boolean =>
  port === 53 && (protocol === 'udp' || protocol === 'tcp') && resolvers.includes(destination)

const isInstanceData = ({ source, destination, protocol, port }: Flow, { rightsOf }: RevokeInput): boolean =>
  protocol === 'tcp' &&
  port === 80 &&
  rightsOf(source).metadata &&
  INSTANCE_METADATA[familyOf(destination)].includes(destination as string as Cidr)

function isAllowed(flow: Flow, input: RevokeInput): boolean {
  if (isDns(flow, input)) return true
  const rights = input.rightsOf(flow.source)
  if (flow.protocol === 'tcp' && flow.port !== undefined && rights.smtpAnywhere.includes(flow.port))
    return true
  const family = familyOf(flow.destination)
  return input.policies.policies.some(
    (policy) =>
      rights.policies.includes(policy.id) &&
      (policy.groups.some(
        (group) =>
          covers(group.ports, flow) &&
          input.membership.covers(allowSet(policy.id, group.ports, family), flow.destination),
      ) ||
        (policy.internet.some((ports) => covers(ports, flow)) &&
          !anyOf(PRIVATE_RANGES[family])(flow.destination))),
  )
}

/** The kernel's text of a flow in a `hash:ip,port,ip` set; undefined where the set has no such kind. */
export function tupleOf(flow: Flow): string | undefined {
  if (flow.port === undefined || !['tcp', 'udp', 'sctp'].includes(flow.protocol)) return undefined
  return `${flow.source},${flow.protocol}:${flow.port},${flow.destination}`
}

const covers = (ports: PortList, { protocol, port }: Flow): boolean => coversPort(ports, protocol, port)

function anyOf(cidrs: readonly MaskedAddress[]): (address: Address) => boolean {
  const tests = cidrs.map((cidr) => cidrTest(cidr))
  return (address) => {
    const bytes = bytesOf(address)
    return tests.some((test) => test(bytes))
  }
}

/** Are both ends in one and the same network? */
function withinOne(cidrs: readonly Cidr[]): (flow: Flow) => boolean {
  const tests = cidrs.map((cidr) => cidrTest(cidr))
  return ({ source, destination }) => {
    const [from, to] = [bytesOf(source), bytesOf(destination)]
    return tests.some((test) => test(from) && test(to))
  }
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
