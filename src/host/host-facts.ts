import type { Binding, Bindings, HostGroups } from '../dataplane/model.ts'
import type { Address } from '../net/types.ts'
import { classesByNetwork, type Assignment } from '../policy/classes.ts'
import type { HostFacts } from '../reconcile/host-facts.ts'
import type { HostInterface } from '../system/host.ts'
import { isUsableInterfaceName } from '../workloads/bridge-name.ts'
import type { InterfacePlan } from '../workloads/guarded.ts'
import type { Container, Inventory, Network } from '../workloads/model.ts'
import { publishedOf, servedOf } from '../workloads/published.ts'
import { serversOf, type ResolverInUse } from '../workloads/resolvers/resolvers.ts'

/** What was read of this host at one moment. */
export interface HostSnapshot {
  /** Undefined: the engine never answered. */
  readonly inventory: Inventory | undefined
  readonly interfaces: readonly HostInterface[]
  readonly plan: InterfacePlan
  /** Undefined: everybody has the same rights. */
  readonly rights: Assignment | undefined
  /** What containers may send from, where their ports were found. */
  readonly ports: readonly Binding[]
  /** Can containers be held to their ports? */
  readonly canBind: boolean
  readonly resolvers: readonly ResolverInUse[]
  readonly hostGroups: HostGroups | undefined
}

/** Everything outside the policy that shapes the rules. */
export function hostFactsOf(snapshot: HostSnapshot): HostFacts {
  const { inventory, interfaces, plan, rights, canBind, resolvers, hostGroups } = snapshot
  const containers = inventory?.containers ?? []
  return {
    plan,
    learning: rights ? learningBridges(plan, interfaces) : [],
    resolvers: serversOf(resolvers),
    containers: containerAddresses(containers),
    published: publishedOf(containers),
    served: servedOf(containers),
    rights,
    bindings: rights && bindingsOf(snapshot),
    classOfBridge: rights && !canBind ? classOfBridge(rights, inventory?.networks ?? []) : undefined,
    hostGroups,
  }
}

/** Guarded bridges on which a frame that no hook sees could take a neighbour's place. */
function learningBridges(
  { guarded }: InterfacePlan,
  interfaces: readonly HostInterface[],
): readonly string[] {
  const names = new Set(guarded.map(({ bridge }) => bridge))
  return interfaces.flatMap(({ name, learnsReserved }) =>
    names.has(name) && learnsReserved === true ? [name] : [],
  )
}

/** Addresses that the engine gave to containers, with the container's short id. */
const containerAddresses = (containers: readonly Container[]): ReadonlyMap<Address, string> =>
  new Map(
    containers.flatMap(({ id, endpoints }) =>
      endpoints.flatMap(({ addresses }) => addresses.map((address) => [address, id.slice(0, 12)] as const)),
    ),
  )

/** While Docker never answered, no container counts as removed: the bindings in the kernel stay. */
function bindingsOf({ inventory, interfaces, plan, ports }: HostSnapshot): Bindings | 'kept' {
  if (!inventory) return 'kept'
  const bridges = new Set(inventory.networks.map(({ bridge }) => bridge))
  const open = new Set(plan.open.map(({ name }) => name))
  return {
    ports,
    gateways: interfaces.flatMap(({ name, addresses }) => (bridges.has(name) ? addresses : [])),
    spared: interfaces
      .filter(({ name }) => open.has(name))
      .flatMap(({ ports: ofOpen }) => ofOpen.map(({ name }) => name).filter(isUsableInterfaceName)),
  }
}

/** Where containers cannot be held to their ports, the network decides whose rights count. */
function classOfBridge(rights: Assignment, networks: readonly Network[]): ReadonlyMap<string, number> {
  const byNetwork = classesByNetwork(rights)
  return new Map(
    networks.flatMap(({ id, bridge }): [string, number][] => {
      const number = byNetwork.get(id)
      return bridge === undefined || number === undefined ? [] : [[bridge, number]]
    }),
  )
}
