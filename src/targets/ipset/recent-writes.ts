import type { KnownElement } from './known.ts'

/** One element that the fast path is writing or wrote recently. */
export interface RecentWrite {
  readonly element: string
  readonly known: KnownElement
  /** Monotonic ms; undefined: the write is in flight. */
  writtenAtMs: number | undefined
}

type BySet = Map<string, RecentWrite[]>

/** Longer than any reading of the sets takes. */
const REMEMBERED_MS = 25_000
/** More are remembered for a shorter time. An element that is forgotten too soon counts as added by somebody else, and is written once more. */
const MOST_REMEMBERED = 50_000

/** What the fast path wrote, for readings of the sets that began before. It is kept in two halves by age, and the older half is forgotten at once. */
export class RecentWrites {
  #young: BySet = new Map()
  #old: BySet = new Map()
  #youngSize = 0
  #turnedMs = performance.now()

  put(set: string, written: RecentWrite): void {
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
  *of(set: string): Iterable<RecentWrite> {
    yield* this.#old.get(set) ?? []
    yield* this.#young.get(set) ?? []
  }
}
