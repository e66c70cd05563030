import type { KnownElement } from '../ipset/sync.ts'

/** One element that the lane brings into a set, or brought lately. */
export interface Written {
  readonly set: string
  readonly element: string
  readonly known: KnownElement
  /** Until it landed. */
  writing: Promise<void> | undefined
  /** Monotonic ms; undefined: it is on its way. */
  landedMs: number | undefined
}

type BySet = Map<string, Map<string, Written>>

/** Longer than any reading of the sets takes. */
const REMEMBERED_MS = 25_000
/** More are remembered for a shorter time. What is forgotten too soon is taken for somebody else's and written once more. */
const MOST_REMEMBERED = 50_000

/**
 * What the lane wrote, for readings of the sets that began before. In two generations, the older of which is forgotten whole: a map whose oldest entry is taken out
 * each time passes over all those that went before.
 */
export class LatelyWritten {
  #young: BySet = new Map()
  #old: BySet = new Map()
  #youngSize = 0
  #turnedMs = performance.now()

  get(set: string, element: string): Written | undefined {
    return this.#young.get(set)?.get(element) ?? this.#old.get(set)?.get(element)
  }

  put(written: Written): void {
    const nowMs = performance.now()
    if (this.#youngSize >= MOST_REMEMBERED || nowMs - this.#turnedMs >= REMEMBERED_MS) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngSize = 0
      this.#turnedMs = nowMs
    }
    const { set, element } = written
    const ofSet = this.#young.get(set)
    if (ofSet) ofSet.set(element, written)
    else this.#young.set(set, new Map([[element, written]]))
    this.#youngSize++
  }

  delete({ set, element }: Written): void {
    this.#young.get(set)?.delete(element)
    this.#old.get(set)?.delete(element)
  }

  /** Of the same element the later one holds. */
  *of(set: string): Iterable<Written> {
    yield* this.#old.get(set)?.values() ?? []
    yield* this.#young.get(set)?.values() ?? []
  }
}
