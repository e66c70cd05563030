import type { Address } from '../net/types.ts'

const MAX_PAST = 2_000
/** As many are forgotten together, since a walk to the first entry of a map passes over the gaps of all entries that left it. */
const FORGOTTEN_TOGETHER = 100

/** When a name had an address; 0 where an earlier version did not save it. */
export interface Past {
  /** Epoch ms of the last answer that contained it. */
  readonly seenAtMs: number
  /** Epoch ms at which it was let go. */
  readonly leftAtMs: number
}

/** Addresses that a name held once, in the order in which they left; beyond some 2,000 the oldest are forgotten. */
export class PastAddresses {
  readonly #addresses = new Map<Address, Past>()

  add(address: Address, past: Past): void {
    this.#addresses.delete(address)
    this.#addresses.set(address, past)
    if (this.#addresses.size < MAX_PAST + FORGOTTEN_TOGETHER) return
    for (const oldest of this.#addresses.keys()) {
      if (this.#addresses.size <= MAX_PAST) break
      this.#addresses.delete(oldest)
    }
  }

  delete(address: Address): void {
    this.#addresses.delete(address)
  }

  has(address: Address): boolean {
    return this.#addresses.has(address)
  }

  get(address: Address): Past | undefined {
    return this.#addresses.get(address)
  }

  get size(): number {
    return this.#addresses.size
  }

  [Symbol.iterator](): IterableIterator<Address> {
    return this.#addresses.keys()
  }

  values(): Past[] {
    return [...this.#addresses.values()]
  }
}
