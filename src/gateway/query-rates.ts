import { LruMap } from './lru-map.ts'

/** A token bucket of one source. */
interface Bucket {
  tokens: number
  atMs: number
}

/** As many seconds' worth of questions may come at once. */
const BURST = 5
const MOST_SOURCES = 10_000

/** A budget of questions for each source. */
export class QueryRates {
  readonly #buckets = new LruMap<Bucket>(MOST_SOURCES)
  #perMs = 0
  #burst = 0

  constructor(perSecond: number) {
    this.setRate(perSecond)
  }

  setRate(perSecond: number): void {
    this.#perMs = perSecond / 1000
    this.#burst = Math.max(1, perSecond * BURST)
  }

  /** False: it has asked too much. */
  take(source: string, nowMs: number): boolean {
    let bucket = this.#buckets.get(source)
    // A source that was silent long enough to be forgotten has a whole budget anyway.
    if (!bucket) this.#buckets.set(source, (bucket = { tokens: this.#burst, atMs: nowMs }))
    bucket.tokens = Math.min(this.#burst, bucket.tokens + Math.max(0, nowMs - bucket.atMs) * this.#perMs)
    bucket.atMs = nowMs
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }
}
