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
  /** Where others may be met: the network, and of a way out of overlay networks those. */
  readonly segments: readonly string[]
  readonly mac: string | undefined
  readonly addresses: readonly Address[]
  /** The policies that match it here, and by what. */
  readonly matched: readonly Matched[]
  /** Undefined: there were more combinations of rights than can be told apart, so it has none. */
  readonly class: number | undefined
}

/** Everything that tells containers apart. Undefined on a host without policies, where all are alike. */
export interface Assignment {
  readonly unknown: 'common' | 'deny'
  /** In order of their numbers. */
  readonly classes: readonly RightsClass[]
  readonly members: readonly ClassMember[]
  /** Labels that would have matched a policy, had not an image brought them. */
  readonly ignoredLabels: number
}

type AssignmentConfig = RightsConfig & { readonly guard: Pick<Config['guard'], 'unknown'> }

/** Who has which rights. Containers that do not run are among them: their rights are then in place when they start. */
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
  // An engine that was not heard says nothing of who has what.
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

/** As long as a config is in force. */
const matchings = new WeakMap<AssignmentConfig, Matching>()

function matchingOf(config: AssignmentConfig): Matching {
  const matching = matchings.get(config) ?? new Matching(config)
  matchings.set(config, matching)
  return matching
}

/** Who is held to less than what is common must not get it back by being taken for nobody. */
const unknownOf = ({ policies, guard }: AssignmentConfig): 'common' | 'deny' =>
  policies.every(({ inherit }) => inherit) ? guard.unknown : 'deny'

/** Networks on which running containers of different rights can relay for each other. */
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

/** The numbers by address; of an address that two claim, neither. */
export function classesByAddress({ members }: Assignment): Map<Address, number> {
  const claims = new Map<Address, number | undefined>()
  for (const { addresses, class: id } of members) {
    for (const address of addresses)
      claims.set(address, claims.has(address) && claims.get(address) !== id ? undefined : id)
  }
  return new Map([...claims].flatMap(([address, id]) => (id === undefined ? [] : [[address, id]])))
}
