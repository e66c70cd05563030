import { cidrTest } from '../net/cidr.ts'
import { bytesOf } from '../net/address.ts'
import { familyOf, type Address, type Cidr, type Hostname, type PortList } from '../net/types.ts'
import { PRIVATE_RANGES } from './private-ranges.ts'
import type { Policies } from '../policy/model.ts'
import type { Flow } from './flow.ts'
import { allowSet, lingerSet, revokedSet } from './names.ts'
import type { Membership } from './membership.ts'

/** What a change of rights means for live connections, as set elements (`source,protocol:port,destination`). */
export interface FlowVerdicts {
  /** Flows whose address a rule still in force once held: asked for established connections only. */
  readonly linger: ReadonlyMap<string, readonly string[]>
  /** Flows that no rule in force ever covered. */
  readonly revoked: ReadonlyMap<string, readonly string[]>
}

export interface RevokeInput {
  readonly policies: Policies
  readonly membership: Membership
  readonly resolvers: readonly Address[]
  /** Subnets of guarded networks: flows from elsewhere are not ours. */
  readonly sources: readonly Cidr[]
  readonly everHeld: (name: Hostname, address: Address) => boolean
  /** Mail ports that may go anywhere. */
  readonly smtpAnywhere: readonly number[]
  readonly forbidden: readonly Cidr[]
}

/** Judges every flow from a guarded network by the rules in force. Pure: nothing is asked of the kernel. */
export function judgeFlows(flows: readonly Flow[], input: RevokeInput): FlowVerdicts {
  const linger = new Map<string, string[]>()
  const revoked = new Map<string, string[]>()
  const isSource = anyOf(input.sources)
  const isForbidden = anyOf(input.forbidden)
  const history = namesByPorts(input.policies)
  for (const flow of flows) {
    const tuple = tupleOf(flow)
    if (tuple === undefined || !isSource(flow.source)) continue
    const family = familyOf(flow.destination)
    const forbidden = isForbidden(flow.destination)
    if (!forbidden && isAllowed(flow, input)) continue
    const lingers =
      !forbidden &&
      history.some(
        ({ ports, names }) =>
          covers(ports, flow) && names.some((name) => input.everHeld(name, flow.destination)),
      )
    push(lingers ? linger : revoked, lingers ? lingerSet(family) : revokedSet(family), tuple)
  }
  return { linger, revoked }
}

/** Is a flow that was revoked earlier within the rules again? */
export const isPermitted = (flow: Flow, input: RevokeInput): boolean =>
  !anyOf(input.forbidden)(flow.destination) && isAllowed(flow, input)

function isAllowed(flow: Flow, input: RevokeInput): boolean {
  if (flow.port === 53 && input.resolvers.includes(flow.destination)) return true
  if (flow.protocol === 'tcp' && flow.port !== undefined && input.smtpAnywhere.includes(flow.port))
    return true
  const family = familyOf(flow.destination)
  return input.policies.policies.some(
    (policy) =>
      policy.groups.some(
        (group) =>
          covers(group.ports, flow) &&
          inSet(input.membership, allowSet(policy.id, group.ports, family), flow.destination),
      ) ||
      (policy.internet.some((ports) => covers(ports, flow)) &&
        !anyOf(PRIVATE_RANGES[family])(flow.destination)),
  )
}

/** The kernel's text of a flow in a `hash:ip,port,ip` set; undefined where the set has no such kind. */
export function tupleOf(flow: Flow): string | undefined {
  if (flow.port === undefined || !['tcp', 'udp', 'sctp'].includes(flow.protocol)) return undefined
  return `${flow.source},${flow.protocol}:${flow.port},${flow.destination}`
}

function inSet(membership: Membership, set: string, address: Address): boolean {
  if (membership.has(set, address)) return true
  for (const element of membership.networksOf(set)) if (cidrTest(element)(bytesOf(address))) return true
  return false
}

function covers(ports: PortList, flow: Flow): boolean {
  return ports.specs.some((spec) =>
    'from' in spec
      ? spec.protocol === flow.protocol &&
        flow.port !== undefined &&
        flow.port >= spec.from &&
        flow.port <= spec.to
      : spec.protocol === flow.protocol || (spec.protocol === 'icmp' && flow.protocol === 'icmpv6'),
  )
}

function namesByPorts(policies: Policies): { ports: PortList; names: Hostname[] }[] {
  return policies.policies.flatMap((policy) =>
    policy.groups.map((group) => ({ ports: group.ports, names: [...group.names.keys()] })),
  )
}

function anyOf(cidrs: readonly Cidr[]): (address: Address) => boolean {
  const tests = cidrs.map((cidr) => cidrTest(cidr))
  return (address) => {
    const bytes = bytesOf(address)
    return tests.some((test) => test(bytes))
  }
}

function push(map: Map<string, string[]>, key: string, value: string): void {
  const list = map.get(key)
  if (list) list.push(value)
  else map.set(key, [value])
}
