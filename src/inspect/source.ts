import type { Endpoint, Inventory, Network } from '../workloads/model.ts'

/** Where a packet sets out. */
export type Source =
  | {
      readonly kind: 'bridge'
      readonly name: string
      readonly network: Network
      readonly bridge: string
      /** The source's addresses on it; none for a network as such. */
      readonly endpoint: Endpoint | undefined
      /** Networks that it is on, by id: what lies in their subnets is reached without the host. */
      readonly attached: readonly Network[]
    }
  /** Nothing of it passes the rules; `allowed` says whether it gets out all the same. */
  | { readonly kind: 'elsewhere'; readonly name: string; readonly allowed: boolean; readonly why: string }

/** A container by name, id or the beginning of its id; else a network by name or id. Undefined: there is no such thing. */
export function findSource(name: string, { containers, networks }: Inventory): Source | undefined {
  const container =
    containers.find((one) => one.name === name || one.id === name) ??
    (name.length >= 4 ? containers.find((one) => one.id.startsWith(name)) : undefined)
  if (!container) {
    const network = networks.find(
      (one) => one.name === name || one.id === name || (name.length >= 4 && one.id.startsWith(name)),
    )
    return network && ofNetwork(name, network)
  }
  if (container.networkMode === 'host') {
    return {
      kind: 'elsewhere',
      name,
      allowed: true,
      why: 'it shares the network of the host and is not held',
    }
  }
  const shared = /^container:(.+)$/.exec(container.networkMode)?.[1]
  if (shared !== undefined) return findSource(shared, { containers, networks })
  const attached = container.endpoints.flatMap(
    ({ networkId }) => networks.find((one) => one.id === networkId) ?? [],
  )
  // The engine takes the way out from the first network by name that is not internal.
  const [network] = attached.toSorted(
    (a, b) => Number(a.internal) - Number(b.internal) || (a.name < b.name ? -1 : 1),
  )
  if (!network) return { kind: 'elsewhere', name, allowed: false, why: 'it has no network' }
  const found = ofNetwork(name, network)
  if (found.kind !== 'bridge') return found
  return { ...found, endpoint: container.endpoints.find((one) => one.networkId === network.id), attached }
}

function ofNetwork(name: string, network: Network): Source {
  if (network.bridge === undefined) {
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
  return { kind: 'bridge', name, network, bridge: network.bridge, endpoint: undefined, attached: [network] }
}
