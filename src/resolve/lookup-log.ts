import type { Hostname } from '../net/types.ts'
import type { RecordResult } from './model.ts'

/** The part of a pino logger that is used here. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  debug(fields: object, message: string): void
}

/** More names than this changing state within one window are one event, a dead name server as a rule, and get one line. */
const MAX_LINES_PER_WINDOW = 20
const WINDOW_MS = 60_000

/** Says a fault once: a name's change of state, and the first refusal of its answers. Time is monotonic ms. */
export class LookupLog {
  readonly #log: Log
  #windowEndsMs = 0
  #lines = 0
  #unsaid = { failing: 0, stale: 0, fresh: 0 }
  readonly #refusalsSaid = new Set<Hostname>()

  constructor(log: Log) {
    this.#log = log
  }

  told(name: Hostname, result: RecordResult, detail: () => string | undefined, nowMs: number): void {
    if (result.refusedNow.length > 0 && !this.#refusalsSaid.has(name)) {
      this.#refusalsSaid.add(name)
      this.#log.warn(
        { name, addresses: result.refusedNow.slice(0, 10) },
        'answer refused because of its range',
      )
    }
    if (result.overCap > 0)
      this.#log.debug({ name, addresses: result.overCap }, 'more addresses than a name may have')
    const { transition } = result
    if (!transition || (transition.from === undefined && transition.to === 'fresh')) return
    if (nowMs >= this.#windowEndsMs) this.flush(nowMs)
    if (++this.#lines > MAX_LINES_PER_WINDOW) {
      this.#unsaid[transition.to]++
      return
    }
    if (transition.to === 'fresh') this.#log.info({ name }, 'name resolves again')
    else if (transition.to === 'stale')
      this.#log.warn({ name, detail: detail() }, 'name does not resolve; its last addresses stay')
    else this.#log.warn({ name, detail: detail() }, 'name does not resolve; no address of it is known')
  }

  /** Ends the window: one line for all that had none. */
  flush(nowMs: number): void {
    this.#windowEndsMs = nowMs + WINDOW_MS
    this.#lines = 0
    const { failing, stale, fresh } = this.#unsaid
    if (failing + stale + fresh === 0) return
    this.#unsaid = { failing: 0, stale: 0, fresh: 0 }
    this.#log.warn({ failing, stale, fresh }, 'many more names changed their state')
  }

  /** Milliseconds until a summary is due, undefined when there is nothing to sum up. */
  dueInMs(nowMs: number): number | undefined {
    const { failing, stale, fresh } = this.#unsaid
    return failing + stale + fresh > 0 ? Math.max(0, this.#windowEndsMs - nowMs) : undefined
  }

  /** A name that left the config may speak up again should it return. */
  forgetAllBut(names: ReadonlyMap<Hostname, unknown>): void {
    for (const name of this.#refusalsSaid) if (!names.has(name)) this.#refusalsSaid.delete(name)
  }
}
