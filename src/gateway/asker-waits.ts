import type { Address } from '../net/types.ts'
import type { AskerState } from './model.ts'

const MOST = 256
const MOST_OF_A_SOURCE = 8
/** How long whoever was waited for in vain is not waited for again. */
const SETTLED_MS = 60_000
const MOST_SETTLED = 1_024

interface SourceWait {
  readonly again: (() => void)[]
  readonly timer: NodeJS.Timeout
}

/** Questions of sources of which nobody knows yet whose they are. They are judged when it is known, or when the time is up. */
export class AskerWaits {
  readonly #sources = new Map<Address, SourceWait>()
  /** Until when. */
  readonly #settled = new Map<Address, number>()
  #count = 0

  /** `again` is called once, later. False: it is not waited for, and `again` never called. */
  wait(source: Address, awaiting: AskerState, holdMs: number, again: () => void): boolean {
    if (awaiting === 'settled' || holdMs === 0 || this.#count >= MOST) return false
    let waiting = this.#sources.get(source)
    if (!waiting) {
      if (awaiting === 'unknown' && (this.#settled.get(source) ?? 0) > performance.now()) return false
      const timer = setTimeout(() => this.#end(source, true), holdMs).unref()
      this.#sources.set(source, (waiting = { again: [], timer }))
    }
    if (waiting.again.length >= MOST_OF_A_SOURCE) return false
    waiting.again.push(again)
    this.#count++
    return true
  }

  /** Who is who has changed. */
  endSettled(awaiting: (source: Address) => AskerState): void {
    for (const source of this.#sources.keys()) if (awaiting(source) === 'settled') this.#end(source, false)
  }

  #end(source: Address, isOver: boolean): void {
    const waiting = this.#sources.get(source)
    if (!waiting) return
    this.#sources.delete(source)
    clearTimeout(waiting.timer)
    this.#count -= waiting.again.length
    if (this.#settled.size >= MOST_SETTLED) this.#settled.clear()
    if (isOver) this.#settled.set(source, performance.now() + SETTLED_MS)
    else this.#settled.delete(source)
    for (const again of waiting.again) again()
  }
}
