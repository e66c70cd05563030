import { FAMILIES, familyOf, type Address, type Family } from '../net/types.ts'
import { containersOnHostNetwork } from '../workloads/host-network.ts'
import type { Container, Endpoint, Inventory, Network } from '../workloads/model.ts'

/** Where a packet comes from. */
export type Source =
  | {
      readonly kind: 'bridge'
      readonly name: string
      /** Every network that it is on. The first one is that of its default route. */
      readonly ways: readonly [Way, ...Way[]]
    }
  /** It is on the network of the host. Its policy counts there if its control group is marked. */
  | { readonly kind: 'host'; readonly name: string; readonly container: Container }
  /** Its packets do not come by our rules. `allowed` says whether they get out. */
  | { readonly kind: 'elsewhere'; readonly name: string; readonly allowed: boolean; readonly why: string }

export interface Way {
  readonly network: Network
  readonly bridge: string
  /** Its addresses there; undefined for a whole network, which stands for any container on it. */
  readonly addresses: readonly Address[] | undefined
  /** Families for which a default route may go this way. */
  readonly routes: readonly Family[]
}

/** A container by name, id or the beginning of its id; else a network by name or id. Undefined: there is no such thing. */
export function findSource(name: string, { containers, networks }: Inventory): Source | undefined {
  const container =
    containers.find((one) => one.name === name || one.id === name) ??
    (name.length >= 4 ? containers.find((one) => one.id.startsWith(name)) : undefined)
  if (!container) {
    const network = networks.find(
      (one) => one.name === name || one.id === name || (name.length >= 4 && one.id.startsWith(name)),
    )
    return network && ofNetwork(name, network, containers)
  }
  if (containersOnHostNetwork(containers).has(container.id)) return { kind: 'host', name, container }
  const shared = /^container:(.+)$/.exec(container.networkMode)?.[1]
  if (shared !== undefined) return findSource(shared, { containers, networks })
  const endpoints = container.endpoints.flatMap((endpoint) => {
    const network = networks.find((one) => one.id === endpoint.networkId)
    return network ? [{ network, endpoint }] : []
  })
  // The engine takes the way out from the first network by name that is not internal.
  const sorted = endpoints.toSorted(
    ({ network: a }, { network: b }) => Number(a.internal) - Number(b.internal) || (a.name < b.name ? -1 : 1),
  )
  const [first] = sorted
  if (!first) return { kind: 'elsewhere', name, allowed: false, why: 'it has no network' }
  const [way, ...others] = sorted.flatMap(({ network, endpoint }) => {
    const routes = network === first.network || !network.internal ? routesBy(endpoint) : []
    // A container that does not run has no addresses yet. The answer is about when it runs.
    return endpoint.addresses.length === 0
      ? wayOf(network, undefined, FAMILIES)
      : wayOf(network, endpoint.addresses, routes)
  })
  if (first.network.bridge === undefined || !way) return ofNetwork(name, first.network, [])
  return { kind: 'bridge', name, ways: [way, ...others] }
}

const wayOf = (
  network: Network,
  addresses: readonly Address[] | undefined,
  routes: readonly Family[],
): Way[] => (network.bridge === undefined ? [] : [{ network, bridge: network.bridge, addresses, routes }])

const routesBy = ({ gateways }: Endpoint): Family[] => gateways.map(familyOf)

/** A container that is on the network already tells whether it has a default route. */
function ofNetwork(name: string, network: Network, containers: Inventory['containers']): Source {
  const neighbour = containers
    .flatMap(({ endpoints }) => endpoints)
    .find(
      ({ networkId, gateways, addresses }) =>
        networkId === network.id && gateways.length + addresses.length > 0,
    )
  const routes = neighbour ? routesBy(neighbour) : FAMILIES
  const [way] = wayOf(network, undefined, routes)
  if (way) return { kind: 'bridge', name, ways: [way] }
  const host = network.driver === 'host'
  return {
    kind: 'elsewhere',
    name,
    allowed: network.driver !== 'null',
    why: host
      ? 'it is the network of the host and is not held'
      : `${network.driver} networks send past the host's firewall`,
  }
}
