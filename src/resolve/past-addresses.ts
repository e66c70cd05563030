import type { Address } from '../net/types.ts'

const MAX_PAST = 2_000
/** So many more are forgotten together: to find the first of a set is to pass over the places of all that left it. */
const FORGOTTEN_TOGETHER = 100

/** Addresses that a name held once, in the order in which they left; beyond some 2,000 the oldest are forgotten. */
export class PastAddresses {
  readonly #addresses = new Set<Address>()

  add(address: Address): void {
    const before = this.#addresses.size
    this.#addresses.add(address)
    if (this.#addresses.size === before) {
      this.#addresses.delete(address)
      this.#addresses.add(address)
    }
    if (this.#addresses.size < MAX_PAST + FORGOTTEN_TOGETHER) return
    for (const oldest of this.#addresses) {
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

  get size(): number {
    return this.#addresses.size
  }

  [Symbol.iterator](): IterableIterator<Address> {
    return this.#addresses.values()
  }
}
