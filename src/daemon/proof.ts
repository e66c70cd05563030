import { setTimeout as sleep } from 'node:timers/promises'
import type { MarkLayout } from '../config/marks.ts'
import type { ProofTrial } from '../proof/model.ts'
import { prove } from '../proof/prove.ts'
import { BACKSTOP_MISSING, lastingResults, resultsOf, type NetworkResult } from '../proof/results.ts'
import type { Run } from '../system/exec.ts'
import { errorChain } from '../system/errors.ts'

/** The wait before the first proof, and after one that failed, unless the period is shorter. */
const SOON_MS = 60_000
/** The wait when there is nothing to try, or the engine is away. */
const AGAIN_MS = 10_000
/** A pass that is under way is waited for, but not one that hangs. */
const PASS_MS = 10_000
/** A failure counts when this many tries in a row show it: damage by other programs is mostly repaired by then. */
const TRIES = 3
const BETWEEN_TRIES_MS = 1_000

export interface ProofOptions {
  readonly run: Run
  /** Undefined: never. */
  readonly everyMs: () => number | undefined
  /** What to try now; undefined: nothing can be tried, since the engine is away or has no network. */
  readonly trials: () => Promise<readonly ProofTrial[] | undefined>
  readonly marks: () => MarkLayout
  readonly backstopStands: () => Promise<boolean>
  readonly isPassing: () => boolean
  /** Is the first proof needed to know whether the host is guarded? Then it comes at once. */
  readonly isAwaited: () => boolean
  readonly onResults: (results: readonly NetworkResult[]) => void
}

/** Makes the proof of `embargod verify` every few minutes. It runs in this process, since it consists of a few short tools. */
export class ContinuousProof {
  readonly #options: ProofOptions
  readonly #stopped = new AbortController()
  #wake = new AbortController()
  #running: Promise<void> | undefined

  constructor(options: ProofOptions) {
    this.#options = options
  }

  start(): void {
    this.#running = this.#repeat()
  }

  /** The period may have changed. */
  reconsider(): void {
    this.#wake.abort()
  }

  /** Waits for a proof that is under way, since it removes its ports and tables at its end. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  async #repeat(): Promise<void> {
    let lastMs = performance.now()
    let soon = true
    let made = true
    let first = true
    while (!this.#stopped.signal.aborted) {
      const everyMs = this.#options.everyMs()
      const soonMs = first && this.#options.isAwaited() ? 0 : SOON_MS
      const periodMs = everyMs === undefined ? Infinity : soon ? Math.min(soonMs, everyMs) : everyMs
      const waitMs = made ? lastMs + periodMs - performance.now() : Math.min(AGAIN_MS, periodMs)
      if (waitMs > 0) {
        await this.#wait(waitMs)
        if (made && performance.now() < lastMs + periodMs - 1) continue
      }
      if (this.#stopped.signal.aborted) return
      lastMs = performance.now()
      const good = await this.#prove()
      made = good !== undefined
      if (made) [soon, first] = [!good, false]
    }
  }

  /** Resolves to whether all is well; undefined: there was nothing to try. */
  async #prove(): Promise<boolean | undefined> {
    const tried: (readonly NetworkResult[])[] = []
    for (;;) {
      await this.#untilNoPass()
      const results = await this.#try()
      if (results === undefined || results.length === 0 || this.#stopped.signal.aborted) return undefined
      tried.push(results)
      const good = results.every(({ problem }) => problem === undefined)
      if (tried.length === TRIES || good) {
        this.#options.onResults(lastingResults(tried))
        return good
      }
      await this.#wait(BETWEEN_TRIES_MS)
    }
  }

  async #try(): Promise<readonly NetworkResult[] | undefined> {
    const { run, trials: choose, marks, backstopStands } = this.#options
    const trials = await choose()
    if (!trials || trials.length === 0) return undefined
    const networks = [...new Set(trials.map(({ place }) => place.network))]
    try {
      const missing = (await backstopStands()) ? undefined : BACKSTOP_MISSING
      const results = resultsOf(await prove(run, trials, marks()))
      return results.map(({ network, problem }) => ({ network, problem: problem ?? missing }))
    } catch (error) {
      const problem = `the proof could not be made: ${errorChain(error)}`
      return networks.map((network) => ({ network, problem }))
    }
  }

  async #untilNoPass(): Promise<void> {
    const deadlineMs = performance.now() + PASS_MS
    while (this.#options.isPassing() && performance.now() < deadlineMs && !this.#stopped.signal.aborted)
      await sleep(20)
  }

  async #wait(ms: number): Promise<void> {
    this.#wake = new AbortController()
    const signal = AbortSignal.any([this.#stopped.signal, this.#wake.signal])
    await sleep(Math.min(ms, 2 ** 31 - 1), undefined, { signal, ref: false }).catch(() => undefined)
  }
}
