import type { Address } from '../net/types.ts'

const MAX_PAST = 2_000
/** So many more go together: to find the oldest of a set is to pass over the places of all that went before. */
const TOGETHER = 64

/** Addresses that a name held once, in the order in which they left; beyond 2,000 the oldest are forgotten, some at a time. */
export class PastAddresses {
  readonly #addresses = new Set<Address>()

  add(address: Address): void {
    this.#addresses.delete(address)
    this.#addresses.add(address)
    if (this.#addresses.size <= MAX_PAST + TOGETHER) return
    for (const oldest of this.#addresses) {
      if (this.#addresses.size <= MAX_PAST) return
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

  *[Symbol.iterator](): IterableIterator<Address> {
    let tooMany = this.#addresses.size - MAX_PAST
    for (const address of this.#addresses) if (tooMany-- <= 0) yield address
  }
}
