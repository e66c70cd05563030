/**
 * A token bucket. It holds a tenth of a second's worth, at least two (a name costs one token a family), so that even a burst after
 * a long rest stays close to the rate. Time is monotonic milliseconds.
 */
export class RateLimit {
  #perMs: number
  #capacity: number
  #tokens: number
  #filledAtMs: number

  /** `perSecond` may be Infinity: no limit. */
  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#capacity = capacityOf(perSecond)
    this.#tokens = this.#capacity
    this.#filledAtMs = nowMs
  }

  setRate(perSecond: number, nowMs: number): void {
    this.#fill(nowMs)
    this.#perMs = perSecond / 1000
    this.#capacity = capacityOf(perSecond)
    this.#tokens = Math.min(this.#tokens, this.#capacity)
    if (this.#capacity === Number.POSITIVE_INFINITY) this.#tokens = this.#capacity
  }

  /** Whole tokens at hand. */
  available(nowMs: number): number {
    this.#fill(nowMs)
    return Math.floor(this.#tokens)
  }

  /** Takes all of them or none. */
  take(count: number, nowMs: number): boolean {
    this.#fill(nowMs)
    if (this.#tokens < count) return false
    this.#tokens -= count
    return true
  }

  /** Milliseconds until `count` tokens (at most the capacity) are there; 0 when they are. */
  waitMs(count: number, nowMs: number): number {
    this.#fill(nowMs)
    const missing = Math.min(count, this.#capacity) - this.#tokens
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perMs)
  }

  #fill(nowMs: number): void {
    const elapsedMs = nowMs - this.#filledAtMs
    if (elapsedMs <= 0) return
    this.#filledAtMs = nowMs
    this.#tokens = Math.min(this.#capacity, this.#tokens + elapsedMs * this.#perMs)
  }
}

const capacityOf = (perSecond: number): number => Math.max(2, perSecond / 10)
