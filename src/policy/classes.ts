import type { Config } from '../config/model.ts'
import type { Address } from '../net/types.ts'
import { containersOnHostNetwork } from '../workloads/host-network.ts'
import type { Container, Inventory } from '../workloads/model.ts'
import type { ClassNumbers, RightsClass } from './class-numbers.ts'
import { Matching, type Matched, type RightsConfig } from './rights.ts'

/** An interface of a container, with what it may do. */
export interface ClassMember {
  readonly container: Pick<Container, 'id' | 'name' | 'pid'>
  readonly networkId: string
  readonly network: string
  /** The networks on which it reaches other containers: this one, or the overlay networks whose way out it is. */
  readonly segments: readonly string[]
  readonly mac: string | undefined
  readonly addresses: readonly Address[]
  /** The policies that match it here, and by what. */
  readonly matched: readonly Matched[]
  /** Undefined: there are more combinations of rights than classes, so it has none. */
  readonly class: number | undefined
}

/** The class of every container. Undefined on a host without policies, where all have the same rights. */
export interface Assignment {
  readonly unknown: 'common' | 'deny'
  /** In order of their numbers. */
  readonly classes: readonly RightsClass[]
  readonly members: readonly ClassMember[]
  /** Labels that would have matched a policy, had not an image brought them. */
  readonly ignoredLabels: number
}

type AssignmentConfig = RightsConfig & { readonly guard: Pick<Config['guard'], 'unknown'> }

/** Gives every container its class. Containers that do not run are included, so that their rights are in force when they start. */
export function assign(
  config: AssignmentConfig,
  inventory: Inventory | undefined,
  numbers: ClassNumbers,
): Assignment | undefined {
  if (config.policies.length === 0) return undefined
  const matching = matchingOf(config)
  const containers = inventory?.containers ?? []
  const onHostNetwork = containersOnHostNetwork(containers)
  const judged = containers.map((container) => ({
    container,
    ...matching.of(container, onHostNetwork.has(container.id)),
  }))
  // Without an answer of the engine it is not known which rights are no longer in use.
  if (inventory) {
    const keys = judged.flatMap(({ standings }) => standings.map(({ rights }) => rights.key))
    numbers.tidy(config.policies, new Set(keys))
  }
  const members = judged.flatMap(({ container, standings }) =>
    standings.map(({ endpoint, matched, rights }): ClassMember => ({
      container: { id: container.id, name: container.name, pid: container.pid },
      networkId: endpoint.networkId,
      network: endpoint.networkName,
      segments: endpoint.overlays ?? [endpoint.networkName],
      mac: endpoint.mac,
      addresses: endpoint.addresses,
      matched,
      class: numbers.of(rights),
    })),
  )
  return {
    unknown: unknownOf(config),
    classes: numbers.classes,
    members,
    ignoredLabels: judged.reduce((sum, { ignoredLabels }) => sum + ignoredLabels, 0),
  }
}

/** One matching for each config, as long as it is in force. */
const matchings = new WeakMap<AssignmentConfig, Matching>()

function matchingOf(config: AssignmentConfig): Matching {
  const matching = matchings.get(config) ?? new Matching(config)
  matchings.set(config, matching)
  return matching
}

/** Where a policy gives less than the common rights, its containers must not get those by passing for unknown sources. */
const unknownOf = ({ policies, guard }: AssignmentConfig): 'common' | 'deny' =>
  policies.every(({ inherit }) => inherit) ? guard.unknown : 'deny'

/** Networks on which running containers of different classes can relay for each other. */
export function mixedNetworks({ members }: Assignment): string[] {
  const classes = new Map<string, Set<number | undefined>>()
  for (const { container, segments, class: id } of members) {
    if (container.pid === undefined) continue
    for (const segment of segments) classes.set(segment, (classes.get(segment) ?? new Set()).add(id))
  }
  return [...classes].flatMap(([network, some]) => (some.size > 1 ? [network] : [])).toSorted()
}

/** The number of each network whose containers all have the same one. */
export function classesByNetwork({ members }: Assignment): Map<string, number> {
  const classes = new Map<string, Set<number | undefined>>()
  for (const { networkId, class: id } of members)
    classes.set(networkId, (classes.get(networkId) ?? new Set()).add(id))
  return new Map(
    [...classes].flatMap(([network, [first, ...others]]): [string, number][] =>
      first === undefined || others.length > 0 ? [] : [[network, first]],
    ),
  )
}

/** The class by address. An address that containers of two classes claim has none. */
export function classesByAddress({ members }: Assignment): Map<Address, number> {
  const claims = new Map<Address, number | undefined>()
  for (const { addresses, class: id } of members) {
    for (const address of addresses)
      claims.set(address, claims.has(address) && claims.get(address) !== id ? undefined : id)
  }
  return new Map([...claims].flatMap(([address, id]) => (id === undefined ? [] : [[address, id]])))
}
