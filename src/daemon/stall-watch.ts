import type { Loop } from '../reconcile/loop.ts'
import type { Health } from './health.ts'

export interface StallWatchOptions {
  readonly loop: Pick<Loop, 'underWay' | 'giveUpWaiting'>
  readonly health: Health
  /** The clock of the loop. */
  readonly clock?: () => number
}

/** Longer than any good pass. A tool that hangs ends one by its own time limit, mostly before or soon after this. */
export const STALLED_MS = 10_000
const LOOK_MS = 1_000

/**
 * Reports from outside when the loop stands still, since a pass that waits without a time limit cannot. It does not end such a pass, whose writes may still
 * happen; the service manager does, because its watchdog is no longer fed.
 */
export class StallWatch {
  readonly #options: StallWatchOptions
  #timer: NodeJS.Timeout | undefined
  /** Since when the reported work is under way, and how long it may take until it is reported again. */
  #told: { readonly sinceMs: number; readonly dueMs: number } | undefined

  constructor(options: StallWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer ??= setInterval(() => this.look(), LOOK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  look(): void {
    const { loop, health, clock = () => performance.now() } = this.#options
    const { underWay } = loop
    const lastedMs = underWay ? clock() - underWay.sinceMs : 0
    if (!underWay || lastedMs < STALLED_MS) {
      this.#told = undefined
      health.set('stalled', undefined)
      return
    }
    // Requests that wait for the pass are answered with this, too.
    loop.giveUpWaiting()
    const { sinceMs, work, step } = underWay
    if (this.#told?.sinceMs !== sinceMs) this.#told = { sinceMs, dueMs: STALLED_MS }
    // The wait doubles each time, or the log would get a line a second.
    while (lastedMs >= 2 * this.#told.dueMs) this.#told = { sinceMs, dueMs: 2 * this.#told.dueMs }
    const why = step === undefined ? '' : `: it waits for ${step}`
    health.set('stalled', `${work} has not ended for ${this.#told.dueMs / 1000} s${why}`)
  }
}
