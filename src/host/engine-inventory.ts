import type { Config } from '../config/model.ts'
import type { Engine, Inventory, Network } from '../workloads/model.ts'

/** What the engine said last. An engine that is gone changes nothing of it. */
export class EngineInventory {
  #inventory: Inventory | undefined
  #engine: Engine | undefined
  #listedAtMs = 0
  readonly #seenNetworks = new Set<string>()

  /** Undefined: the engine never answered. */
  get inventory(): Inventory | undefined {
    return this.#inventory
  }

  get engine(): Engine | undefined {
    return this.#engine
  }

  /** When the latest full listing began, epoch ms. */
  get listedAtMs(): number {
    return this.#listedAtMs
  }

  /** Networks of {@link noteNetworks} that were there since this process began. */
  get seenNetworks(): ReadonlySet<string> {
    return this.#seenNetworks
  }

  /** Returns whether everything was listed since the inventory before. */
  set(inventory: Inventory, engine: Engine, listedAtMs: number): boolean {
    const isListed = listedAtMs !== this.#listedAtMs
    this.#inventory = inventory
    this.#engine = engine
    this.#listedAtMs = listedAtMs
    return isListed
  }

  /** A network ahead of the inventory that holds it. */
  addNetwork(network: Network): void {
    // A part of the list would have the bridges of all other networks opened.
    if (!this.#inventory) return
    const others = this.#inventory.networks.filter((one) => one.id !== network.id)
    this.#inventory = { ...this.#inventory, networks: [...others, network] }
  }

  /** Remembers which of the networks to be guarded exist: the name of one that is removed and made again later is not misspelt. */
  noteNetworks({ networks }: Pick<Config['guard'], 'networks'>): void {
    if (networks === 'all') return
    for (const { name } of this.#inventory?.networks ?? [])
      if (networks.includes(name)) this.#seenNetworks.add(name)
  }
}
