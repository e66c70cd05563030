import type { Hostname } from '../net/types.ts'
import type { RecordResult } from './model.ts'

/** The part of a pino logger that is used here. */
export interface Log {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  debug(fields: object, message: string): void
}

/** More lines about names than this within one window are one event, a dead name server as a rule, and get one line. */
const MAX_LINES_PER_WINDOW = 20
const WINDOW_MS = 60_000
/** A name that changes its state more often than this is logged once as unsteady, until it has been steady for a while. */
const MAX_CHANGES = 4
const STEADY_MS = 600_000

type Topic = 'failing' | 'stale' | 'fresh' | 'unsteady' | 'refused' | 'overCap'

const noLines = (): Record<Topic, number> => ({
  failing: 0,
  stale: 0,
  fresh: 0,
  unsteady: 0,
  refused: 0,
  overCap: 0,
})

/** Logs each fault once: a name's change of state, the first refusal of its answers, too many addresses. Time is monotonic ms. */
export class LookupLog {
  readonly #log: Log
  #windowEndsMs = 0
  #lines = 0
  #summed = noLines()
  readonly #refusalsSaid = new Set<Hostname>()
  readonly #overCapSaid = new Set<Hostname>()
  readonly #changes = new Map<Hostname, { count: number; lastMs: number }>()

  constructor(log: Log) {
    this.#log = log
  }

  note(name: Hostname, result: RecordResult, detail: () => string | undefined, nowMs: number): void {
    if (result.refusedNow.length > 0 && !this.#refusalsSaid.has(name)) {
      this.#refusalsSaid.add(name)
      if (this.#takeLine('refused', nowMs))
        this.#log.warn(
          { name, addresses: result.refusedNow.slice(0, 10) },
          'answer refused because of its range',
        )
    }
    if (result.overCap > 0 && !this.#overCapSaid.has(name)) {
      this.#overCapSaid.add(name)
      if (this.#takeLine('overCap', nowMs))
        this.#log.warn({ name, addresses: result.overCap }, 'more addresses than a name may have')
    }
    const { transition } = result
    if (!transition || (transition.from === undefined && transition.to === 'fresh')) return
    const changes = this.#countChange(name, nowMs)
    if (changes > MAX_CHANGES + 1) return
    if (changes > MAX_CHANGES) {
      if (this.#takeLine('unsteady', nowMs))
        this.#log.warn({ name, detail: detail() }, 'name resolves on and off; no more is said of it')
      return
    }
    if (!this.#takeLine(transition.to, nowMs)) return
    if (transition.to === 'fresh') this.#log.info({ name }, 'name resolves again')
    else if (transition.to === 'stale')
      this.#log.warn({ name, detail: detail() }, 'name does not resolve; its last addresses stay')
    else this.#log.warn({ name, detail: detail() }, 'name does not resolve; no address of it is known')
  }

  /** Ends the window with one line for all faults that had no line of their own. */
  flush(nowMs: number): void {
    this.#windowEndsMs = nowMs + WINDOW_MS
    this.#lines = 0
    const unsaid = Object.entries(this.#summed).filter(([, count]) => count > 0)
    if (unsaid.length === 0) return
    this.#summed = noLines()
    this.#log.warn(Object.fromEntries(unsaid), 'the same is true of many more names')
  }

  /** Milliseconds until a summary is due, undefined when there is nothing to sum up. */
  dueInMs(nowMs: number): number | undefined {
    const isDue = Object.values(this.#summed).some((count) => count > 0)
    return isDue ? Math.max(0, this.#windowEndsMs - nowMs) : undefined
  }

  /** A name that left the config is logged anew should it return. */
  forgetAllBut(names: ReadonlyMap<Hostname, unknown>): void {
    for (const said of [this.#refusalsSaid, this.#overCapSaid, this.#changes])
      for (const name of said.keys()) if (!names.has(name)) said.delete(name)
  }

  /** Takes a line of this window; false: there is none left, and the fault is summed up. */
  #takeLine(topic: Topic, nowMs: number): boolean {
    if (nowMs >= this.#windowEndsMs) this.flush(nowMs)
    if (++this.#lines <= MAX_LINES_PER_WINDOW) return true
    this.#summed[topic]++
    return false
  }

  /** How many changes the name made without a long rest between them. */
  #countChange(name: Hostname, nowMs: number): number {
    const known = this.#changes.get(name)
    const count = known && nowMs - known.lastMs < STEADY_MS ? known.count + 1 : 1
    this.#changes.set(name, { count, lastMs: nowMs })
    return count
  }
}
