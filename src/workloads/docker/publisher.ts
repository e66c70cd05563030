import type { Engine, Network } from '../model.ts'
import type { InventoryCache } from './inventory-cache.ts'
import type { SessionUpdate } from './updates.ts'

/**
 * Gives what the cache holds to the outside, and nothing before the first listing is complete: a few networks that are taken for all of them would
 * have the bridges of the others opened.
 */
export class InventoryPublisher {
  #engine: Engine | undefined
  #listedAtMs = 0
  #hasChanged = false
  #hasPublished = false

  constructor(
    private readonly cache: InventoryCache,
    private readonly onUpdate: (update: SessionUpdate) => void,
  ) {}

  /** The first inventory was published. */
  get hasPublished(): boolean {
    return this.#hasPublished
  }

  /** The cache holds something that no inventory has shown yet. */
  get hasChanged(): boolean {
    return this.#hasChanged
  }

  markChanged(): void {
    this.#hasChanged = true
  }

  /** @param listedAtMs when the listing began, epoch milliseconds */
  setListed(engine: Engine, listedAtMs: number): void {
    this.#engine = engine
    this.#listedAtMs = listedAtMs
    this.#hasChanged = true
  }

  /** Shows what has changed since the last inventory, if anything has. */
  publish(): void {
    if (!this.#hasChanged || !this.#engine) return
    this.#hasChanged = false
    this.#hasPublished = true
    this.onUpdate({
      kind: 'inventory',
      inventory: this.cache.snapshot(),
      engine: this.#engine,
      listedAtMs: this.#listedAtMs,
    })
  }

  /** Shows a new network ahead of the inventory that holds it. */
  publishNetwork(network: Network): void {
    if (this.#hasPublished) this.onUpdate({ kind: 'network', network })
  }
}
