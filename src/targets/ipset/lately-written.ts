import type { KnownElement } from './known.ts'

/** One element that the fast path brings into a set, or brought lately. */
export interface Written {
  readonly element: string
  readonly known: KnownElement
  /** Monotonic ms; undefined: it is on its way. */
  landedMs: number | undefined
}

type BySet = Map<string, Written[]>

/** Longer than any reading of the sets takes. */
const REMEMBERED_MS = 25_000
/** More are remembered for a shorter time. What is forgotten too soon is taken for somebody else's and written once more. */
const MOST_REMEMBERED = 50_000

/**
 * What the fast path wrote, for readings of the sets that began before: looked through by each of them, and looked up by nobody. In two generations, the older of which
 * is forgotten whole.
 */
export class LatelyWritten {
  #young: BySet = new Map()
  #old: BySet = new Map()
  #youngSize = 0
  #turnedMs = performance.now()

  put(set: string, written: Written): void {
    const nowMs = performance.now()
    if (this.#youngSize >= MOST_REMEMBERED || nowMs - this.#turnedMs >= REMEMBERED_MS) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngSize = 0
      this.#turnedMs = nowMs
    }
    const ofSet = this.#young.get(set)
    if (ofSet) ofSet.push(written)
    else this.#young.set(set, [written])
    this.#youngSize++
  }

  /** In the order in which they were written: of the same element the later one holds. */
  *of(set: string): Iterable<Written> {
    yield* this.#old.get(set) ?? []
    yield* this.#young.get(set) ?? []
  }
}
