import type { Address } from '../net/types.ts'
import type { AskerState } from './model.ts'

const MOST = 256
const MOST_OF_A_SOURCE = 8
/** How long a source that stayed unknown is not waited for again. */
const GIVEN_UP_MS = 60_000
const MOST_GIVEN_UP = 1_024

interface SourceWait {
  readonly again: (() => void)[]
  readonly timer: NodeJS.Timeout
}

/** Questions from addresses of which it is not known yet, or about to change, which container has them. They are judged when that is settled, or when the time is up. */
export class AskerWaits {
  readonly #sources = new Map<Address, SourceWait>()
  /** Sources that stayed unknown, with the monotonic ms until which they are not waited for again. */
  readonly #givenUp = new Map<Address, number>()
  #count = 0

  /** Calls `again` once, later. False: there is no waiting, and `again` is never called. */
  wait(source: Address, state: AskerState, waitMs: number, again: () => void): boolean {
    if (state === 'settled' || waitMs === 0 || this.#count >= MOST) return false
    let waiting = this.#sources.get(source)
    if (!waiting) {
      if (state === 'unknown' && (this.#givenUp.get(source) ?? 0) > performance.now()) return false
      const timer = setTimeout(() => this.#end(source, true), waitMs).unref()
      this.#sources.set(source, (waiting = { again: [], timer }))
    }
    if (waiting.again.length >= MOST_OF_A_SOURCE) return false
    waiting.again.push(again)
    this.#count++
    return true
  }

  /** Ends the waits of all sources that are settled now. */
  endSettled(stateOf: (source: Address) => AskerState): void {
    for (const source of this.#sources.keys()) if (stateOf(source) === 'settled') this.#end(source, false)
  }

  #end(source: Address, isOver: boolean): void {
    const waiting = this.#sources.get(source)
    if (!waiting) return
    this.#sources.delete(source)
    clearTimeout(waiting.timer)
    this.#count -= waiting.again.length
    if (this.#givenUp.size >= MOST_GIVEN_UP) this.#givenUp.clear()
    if (isOver) this.#givenUp.set(source, performance.now() + GIVEN_UP_MS)
    else this.#givenUp.delete(source)
    for (const again of waiting.again) again()
  }
}
