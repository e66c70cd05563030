import {
  attachedTo,
  parseAttachment,
  parseContainer,
  parseImageLabels,
  parseInventory,
  parseNetwork,
} from '../inventory.ts'
import type { Container, Endpoint, Inventory, Network } from '../model.ts'

/** The bridge network by which containers of overlay networks reach the outside. */
export const GATEWAY_NETWORK = 'docker_gwbridge'

/** The engine's networks and containers as they were read last. */
export class InventoryCache {
  #networks = new Map<string, Network>()
  #containers = new Map<string, Container>()
  /** By image id, which is the digest of what is in it. */
  readonly #imageLabels = new Map<string, Readonly<Record<string, string>>>()

  /** Containers whose place on {@link GATEWAY_NETWORK} was found since they were read last. */
  readonly #gatewaysAsked = new Set<string>()

  /** Containers completed by what their networks and images tell. */
  readonly #wholes = new WeakMap<Container, { readonly whole: Container; readonly places: string }>()

  /**
   * Returns problems.
   * @param newer ids of networks and containers that were read while the list was made: what is known of them stays
   */
  replaceAll(
    json: { readonly networks: unknown; readonly containers: readonly unknown[] },
    newer: ReadonlySet<string> = new Set(),
  ): readonly string[] {
    const { value, problems } = parseInventory(json)
    const containers = value.containers.map((container) => this.#merged(container))
    this.#networks = replaced(this.#networks, value.networks, newer)
    // An inspection tells more than what was read of a container while it was being started.
    const started = new Set(containers.flatMap(({ id, pid }) => (pid === undefined ? [] : [id])))
    const kept = [...newer].filter((id) => this.#containers.get(id)?.pid !== undefined || !started.has(id))
    this.#containers = replaced(this.#containers, containers, new Set(kept))
    this.#gatewaysAsked.clear()
    return problems
  }

  /** `json` undefined: the engine has no such network. */
  putNetwork(
    id: string,
    json: unknown,
  ): { readonly network: Network | undefined; readonly problems: readonly string[] } {
    const { value, problems } = json === undefined ? { value: undefined, problems: [] } : parseNetwork(json)
    if (value) this.#networks.set(value.id, value)
    else this.#networks.delete(id)
    return { network: value, problems }
  }

  putContainer(id: string, json: unknown): readonly string[] {
    const { value, problems } = json === undefined ? { value: undefined, problems: [] } : parseContainer(json)
    if (value) this.#containers.set(value.id, this.#merged(value))
    else this.#containers.delete(id)
    this.#gatewaysAsked.delete(id)
    return problems
  }

  /**
   * A list tells less than an inspection, and never the process. So a running container that is known keeps the rest: without its process it would
   * lose its port and its rights. Whether the process is still the container's is checked by its control group. Neither list nor inspection
   * tells the way out of overlay networks, so that stays until it is read again.
   */
  #merged(container: Container): Container {
    const { id, name, running, pid, labels } = container
    const known = this.#containers.get(id)
    if (!known || !running) return container
    const gateway = known.endpoints.find(isGateway)
    const keepsGateway = gateway && !container.endpoints.some(isGateway) && this.#usesOverlay(container)
    const endpoints = keepsGateway ? [...container.endpoints, gateway] : container.endpoints
    if (pid === undefined && known.pid !== undefined) return { ...known, name, labels, endpoints }
    return { ...container, endpoints }
  }

  /** Returns whether that container is known by another name. */
  rename(id: string, name: string): boolean {
    const known = this.#containers.get(id)
    if (!known || known.name === name) return false
    this.#containers.set(id, { ...known, name })
    return true
  }

  container(id: string): Container | undefined {
    return this.#containers.get(id)
  }

  /** @param network what the engine says of the network that the container was connected to; undefined: there is no such network */
  putAttachment(id: string, network: unknown): void {
    const known = this.#containers.get(id)
    const endpoint = parseAttachment(network, id)
    if (!known || !endpoint) return
    const isHere = ({ networkId }: Endpoint): boolean => networkId === endpoint.networkId
    const others = known.endpoints.filter((one) => !isHere(one))
    // The network does not tell the container's gateways.
    const gateways = known.endpoints.find(isHere)?.gateways ?? []
    this.#containers.set(id, { ...known, endpoints: [...others, { ...endpoint, gateways }] })
  }

  /** Puts the places of containers that do not run yet. Returns the ids of those whose place was not known. */
  putAttachments(networkId: string, network: unknown): readonly string[] {
    const fresh = attachedTo(network).filter((id) => {
      const known = this.#containers.get(id)
      const here = known?.endpoints.find((endpoint) => endpoint.networkId === networkId)
      return known?.running === false && !here?.addresses.length
    })
    for (const id of fresh) this.putAttachment(id, network)
    return fresh
  }

  /** Are there running containers on overlay networks whose way out is not known? No inspection and no event tells it. */
  get lacksGateways(): boolean {
    return this.#unaskedGateways().length > 0
  }

  /** @param gateway what the engine says of {@link GATEWAY_NETWORK}; undefined: there is no such network */
  putGateways(gateway: unknown): void {
    for (const known of this.#unaskedGateways()) {
      const endpoint = parseAttachment(gateway, known.id)
      const others = known.endpoints.filter((one) => !isGateway(one))
      const endpoints = endpoint ? [...others, endpoint] : others
      if (endpoint) this.#gatewaysAsked.add(known.id)
      if (endpoint || others.length < known.endpoints.length)
        this.#containers.set(known.id, { ...known, endpoints })
    }
  }

  #unaskedGateways(): Container[] {
    return [...this.#containers.values()].filter(
      (container) =>
        container.running && !this.#gatewaysAsked.has(container.id) && this.#usesOverlay(container),
    )
  }

  #usesOverlay({ endpoints }: Container): boolean {
    return endpoints.some((endpoint) => this.#isOverlay(endpoint))
  }

  #isOverlay({ networkId }: Endpoint): boolean {
    return this.#networks.get(networkId)?.driver === 'overlay'
  }

  /** Images of known containers that were not read yet. */
  unseenImages(): string[] {
    const ids = new Set(Array.from(this.#containers.values(), ({ imageId }) => imageId))
    for (const id of this.#imageLabels.keys()) if (!ids.has(id)) this.#imageLabels.delete(id)
    return [...ids].filter((id) => id !== '' && !this.#imageLabels.has(id))
  }

  /** `json` undefined: the engine has no such image. */
  putImage(id: string, json: unknown): void {
    if (json !== undefined) this.#imageLabels.set(id, parseImageLabels(json))
  }

  /** Sorted by id: equal facts give equal values, and a container that has not changed is the same object as in the snapshot before. */
  snapshot(): Inventory {
    const containers = byId(this.#containers).map((container) => this.#whole(container))
    return { networks: byId(this.#networks), containers }
  }

  #whole(container: Container): Container {
    const imageLabels = this.#imageLabels.get(container.imageId)
    const endpoints = this.#placesOf(container)
    const places = JSON.stringify(endpoints.map(({ overlays, policyLabels }) => [overlays, policyLabels]))
    const before = this.#wholes.get(container)
    if (before && before.whole.imageLabels === imageLabels && before.places === places) return before.whole
    const whole = { ...container, imageLabels, endpoints }
    this.#wholes.set(container, { whole, places })
    return whole
  }

  /** The endpoints with what their networks tell: labels, and the overlay networks behind a gateway. */
  #placesOf(container: Container): Endpoint[] {
    const labelsOf = ({ networkId }: Endpoint): readonly string[] => {
      const label = this.#networks.get(networkId)?.policyLabel
      return label === undefined ? [] : [label]
    }
    return container.endpoints.map((endpoint) => {
      if (!isGateway(endpoint)) return { ...endpoint, policyLabels: labelsOf(endpoint) }
      const overlays = container.endpoints.filter((one) => this.#isOverlay(one))
      return {
        ...endpoint,
        overlays: overlays.map(({ networkName }) => networkName),
        policyLabels: [endpoint, ...overlays].flatMap(labelsOf),
      }
    })
  }
}

const isGateway = ({ networkName }: Endpoint): boolean => networkName === GATEWAY_NETWORK

/** The listed items, but for those that are newer than the list: these stay as they are known, even where the list lacks them. */
const replaced = <T extends { readonly id: string }>(
  known: ReadonlyMap<string, T>,
  listed: readonly T[],
  newer: ReadonlySet<string>,
): Map<string, T> => {
  const items = [
    ...listed.filter(({ id }) => !newer.has(id)),
    ...[...known.values()].filter(({ id }) => newer.has(id)),
  ]
  return new Map(items.map((item) => [item.id, item]))
}

const byId = <T>(items: ReadonlyMap<string, T>): T[] =>
  [...items].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, item]) => item)
