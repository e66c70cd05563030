import {
  attachedTo,
  parseAttachment,
  parseContainer,
  parseImageLabels,
  parseInventory,
  parseNetwork,
} from './inventory.ts'
import type { Container, Endpoint, Inventory, Network } from './model.ts'

/** The bridge network by which containers of overlay networks reach the outside. */
export const GATEWAY_NETWORK = 'docker_gwbridge'

/** The engine's networks and containers as last heard, with what could not be understood about each. */
export class InventoryCache {
  #networks = new Map<string, Network>()
  #containers = new Map<string, Container>()
  /** By image id, which is the digest of what is in it. */
  readonly #imageLabels = new Map<string, Readonly<Record<string, string>>>()

  /** With the labels of their images. */
  readonly #wholes = new WeakMap<Container, Container>()

  /** Returns problems. */
  replaceAll(json: {
    readonly networks: unknown
    readonly containers: readonly unknown[]
  }): readonly string[] {
    const { value, problems } = parseInventory(json)
    this.#networks = new Map(value.networks.map((network) => [network.id, network]))
    this.#containers = new Map(value.containers.map((container) => [container.id, this.#merged(container)]))
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
    return problems
  }

  /**
   * A list tells less than an inspection, the process not at all: who runs and is known keeps the rest, or he would lose what holds him. That the
   * process is still his is seen in its control group.
   */
  #merged(container: Container): Container {
    const { id, name, running, pid, labels, endpoints } = container
    const known = this.#containers.get(id)
    return running && pid === undefined && known?.pid !== undefined
      ? { ...known, name, labels, endpoints }
      : container
  }

  container(id: string): Container | undefined {
    return this.#containers.get(id)
  }

  /** @param network what the engine says of the network that the container was connected to; undefined: it has none such */
  putAttachment(id: string, network: unknown): void {
    const known = this.#containers.get(id)
    const endpoint = parseAttachment(network, id)
    if (!known || !endpoint) return
    const others = known.endpoints.filter(({ networkId }) => networkId !== endpoint.networkId)
    this.#containers.set(id, { ...known, endpoints: [...others, endpoint] })
  }

  /** Of containers that do not run yet. Returns whether there was one that was not known to be there. */
  putAttachments(networkId: string, network: unknown): boolean {
    const fresh = attachedTo(network).filter((id) => {
      const known = this.#containers.get(id)
      const here = known?.endpoints.find((endpoint) => endpoint.networkId === networkId)
      return known?.running === false && !here?.addresses.length
    })
    for (const id of fresh) this.putAttachment(id, network)
    return fresh.length > 0
  }

  /** Are there running containers on overlay networks whose way out is not known? Neither they nor any event tell of it. */
  get lacksGateways(): boolean {
    return this.#withoutGateway().length > 0
  }

  /** @param gateway what the engine says of {@link GATEWAY_NETWORK}; undefined: it has none */
  putGateways(gateway: unknown): void {
    for (const { id, overlays } of this.#withoutGateway()) {
      const known = this.#containers.get(id)
      const endpoint = parseAttachment(gateway, id)
      if (known && endpoint)
        this.#containers.set(id, { ...known, endpoints: [...known.endpoints, { ...endpoint, overlays }] })
    }
  }

  #withoutGateway(): { readonly id: string; readonly overlays: readonly string[] }[] {
    const isOverlay = ({ networkId }: Endpoint): boolean =>
      this.#networks.get(networkId)?.driver === 'overlay'
    return [...this.#containers.values()].flatMap(({ id, running, endpoints }) => {
      const overlays = endpoints.filter(isOverlay).map(({ networkName }) => networkName)
      const isKnown = endpoints.some(({ networkName }) => networkName === GATEWAY_NETWORK)
      return running && overlays.length > 0 && !isKnown ? [{ id, overlays }] : []
    })
  }

  /** Images whose containers are known, and which nobody has looked at. */
  unseenImages(): string[] {
    const ids = new Set(Array.from(this.#containers.values(), ({ imageId }) => imageId))
    for (const id of this.#imageLabels.keys()) if (!ids.has(id)) this.#imageLabels.delete(id)
    return [...ids].filter((id) => id !== '' && !this.#imageLabels.has(id))
  }

  /** `json` undefined: the engine has no such image. */
  putImage(id: string, json: unknown): void {
    if (json !== undefined) this.#imageLabels.set(id, parseImageLabels(json))
  }

  /** Sorted by id: equal facts give equal values, and a container of which nothing was heard since is the same object. */
  snapshot(): Inventory {
    const containers = byId(this.#containers).map((container) => this.#whole(container))
    return { networks: byId(this.#networks), containers }
  }

  #whole(container: Container): Container {
    const imageLabels = this.#imageLabels.get(container.imageId)
    const before = this.#wholes.get(container)
    if (before && before.imageLabels === imageLabels) return before
    const whole = { ...container, imageLabels }
    this.#wholes.set(container, whole)
    return whole
  }
}

const byId = <T>(items: ReadonlyMap<string, T>): T[] =>
  [...items].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, item]) => item)
