import type { Address, Hostname } from '../net/types.ts'
import { endOfAddress, NEVER_HELD, type Ends } from '../policy/ends.ts'

/** When the rights to elements of sets expire. Only sets in which some right expires are listed here, so for all others a question costs one look-up. */
export class ElementEnds {
  readonly #names = new Map<string, Pick<Ends, 'names'>>()
  /** Networks and addresses of the config, in those sets. */
  readonly #fixed = new Map<string, Map<string, number>>()

  /** What ends in a set; to be told before its elements. */
  put(set: string, ends: Pick<Ends, 'names'>): void {
    this.#names.set(set, ends)
    this.#fixed.set(set, new Map())
  }

  /** An element of the config: of several that are the same network the latest end counts. */
  fix(set: string, element: string, endMs: number): void {
    const fixed = this.#fixed.get(set)
    fixed?.set(element, Math.max(fixed.get(element) ?? NEVER_HELD, endMs))
  }

  /** Does anything end in the set? */
  has(set: string): boolean {
    return this.#names.has(set)
  }

  /** When the right to an address ends that a name brings into the set; Infinity: it lasts. */
  ofName(set: string, name: Hostname, address: Address): number {
    return endOfAddress(this.#names.get(set), name, address)
  }

  /** When the config's own right to an element ends; it has none where nothing is fixed. */
  ofFixed(set: string, element: string): number {
    return this.#fixed.get(set)?.get(element) ?? NEVER_HELD
  }
}
