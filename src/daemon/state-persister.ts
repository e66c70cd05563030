import { writeClosedGuard } from '../state/closed-guard.ts'
import * as saved from '../state/formats.ts'
import { makeWarmStart, savedWarmStart, WARM_START } from '../state/warm-start.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { PassResult } from '../reconcile/model.ts'
import type { SaveQueue } from '../state/save-queue.ts'
import type { Telemetry } from './telemetry.ts'
import type { ConfigHolder } from './config-holder.ts'
import type { Health } from './health.ts'
import type { Store } from './store.ts'
import { errorMessage } from '../system/errors.ts'

export interface StatePersisterOptions {
  readonly telemetry: Telemetry
  readonly desired: Desired
  readonly health: Health
  readonly holder: ConfigHolder
  readonly store: Store
}

const SAVE_COUNTERS_MS = 30_000
const SAVE_WARM_MS = 20_000

/** Saves what a later process starts with, and the closed guard of the next boot, as passes change it. */
export class StatePersister {
  readonly #options: StatePersisterOptions
  readonly #counters: SaveQueue
  readonly #warm: SaveQueue
  #closedGuard: string | undefined

  constructor(options: StatePersisterOptions) {
    const { telemetry, desired, holder, store } = options
    this.#options = options
    this.#counters = store.queue('counters', saved.savedCounters, SAVE_COUNTERS_MS, () =>
      telemetry.counters.snapshot(),
    )
    this.#warm = store.queue(WARM_START, savedWarmStart, SAVE_WARM_MS, () =>
      makeWarmStart(
        store.directory,
        desired.dataplane(),
        desired.membership,
        holder.sources,
        desired.policies,
      ),
    )
  }

  /** Saves the warm start. Only to be called when a restart would make the same of the config on the disk, since it loads this without looking. */
  saveWarmStart(): void {
    this.#warm.request()
  }

  async persist({ observed, summary, drift }: PassResult): Promise<void> {
    if (observed.parts.size > 0 || observed.sets.length > 0 || drift.length > 0) this.#counters.request()
    // After a flush the kernel's counters begin at zero. They are saved at once, or a process that ends now would lose what was counted before.
    if (drift.length > 0) void this.#counters.flush()
    if (summary.length > 0 && this.#options.holder.lastLoadSuccessful) this.saveWarmStart()
    await this.#keepClosedGuard()
  }

  /** Saves the guard that the next boot loads before there is a daemon. */
  async #keepClosedGuard(): Promise<void> {
    const { desired, health, store } = this.#options
    const { backstop } = desired.dataplane()
    const shape = JSON.stringify(backstop)
    if (shape === this.#closedGuard) return
    try {
      await writeClosedGuard(store.directory, backstop)
      this.#closedGuard = shape
      health.set('closed-guard', undefined)
    } catch (error) {
      health.set(
        'closed-guard',
        `the closed guard for the next boot cannot be written: ${errorMessage(error)}`,
      )
    }
  }
}
