import { parseContainer, parseInventory, parseNetwork } from './inventory.ts'
import type { Container, Inventory, Network } from './model.ts'

/** The engine's networks and containers as last heard, with what could not be understood about each. */
export class InventoryCache {
  #networks = new Map<string, Network>()
  #containers = new Map<string, Container>()

  /** Returns problems. */
  replaceAll(json: {
    readonly networks: unknown
    readonly containers: readonly unknown[]
  }): readonly string[] {
    const { value, problems } = parseInventory(json)
    this.#networks = new Map(value.networks.map((network) => [network.id, network]))
    this.#containers = new Map(value.containers.map((container) => [container.id, container]))
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
    if (value) this.#containers.set(value.id, value)
    else this.#containers.delete(id)
    return problems
  }

  /** Sorted by id: equal facts give equal values. */
  snapshot(): Inventory {
    return { networks: byId(this.#networks), containers: byId(this.#containers) }
  }
}

const byId = <T>(items: ReadonlyMap<string, T>): T[] =>
  [...items].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, item]) => item)
