import { setMaxListeners } from 'node:events'
import { schedule as scheduleCron, type ScheduledTask } from 'node-cron'
import { FAMILIES, type Address, type Family, type Hostname } from '../net/types.ts'
import type { AddressStore } from './address-store.ts'
import { LookupLog, type Log } from './lookup-log.ts'
import type { AddressLimits, Lookup, NameUse } from './model.ts'
import { RateLimit } from './rate-limit.ts'
import type { Resolver } from './resolver.ts'
import { Schedule } from './schedule.ts'

export interface RefresherSettings {
  readonly names: ReadonlyMap<Hostname, NameUse>
  /** They have addresses like names, and are not resolved. */
  readonly patterns: ReadonlyMap<Hostname, NameUse>
  readonly limits: AddressLimits
  readonly refresh: { readonly minMs: number; readonly maxMs: number }
  readonly maxQueriesPerSecond: number
  /** A cron expression, read in UTC. */
  readonly sweep: string
}

/** One look-up that came back, for metrics. */
export interface LookupReport {
  readonly name: Hostname
  readonly family: Family
  readonly lookup: Lookup
  readonly durationMs: number
  /** Addresses of this answer that were refused because of their range. */
  readonly refused: readonly Address[]
}

export interface RefresherOptions {
  readonly settings: RefresherSettings
  readonly resolver: Pick<Resolver, 'lookup'>
  readonly addressStore: AddressStore
  readonly log: Log
  readonly isHostAddress: (address: Address) => boolean
  /** Names on their way at a time. Default 128. */
  readonly concurrency?: number
  /** Gives the host its own order of sweeping. */
  readonly seed: string
  readonly clock?: Clock
  readonly random?: () => number
  /** The address store has names for `takeChanged()`. */
  readonly onChange: () => void
  readonly onLookup?: (report: LookupReport) => void
}

export interface Clock {
  readonly epochMs: () => number
  readonly monotonicMs: () => number
}

const SYSTEM_CLOCK: Clock = { epochMs: () => Date.now(), monotonicMs: () => performance.now() }
const QUERIES_PER_NAME = FAMILIES.length
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Keeps the address store fresh: asks for what is due, no faster than allowed. One timer runs, for the next thing that is due. */
export class Refresher {
  readonly #options: RefresherOptions
  readonly #clock: Clock
  readonly #schedule: Schedule
  readonly #limit: RateLimit
  readonly #lookupLog: LookupLog
  readonly #concurrency: number
  readonly #onTheWay = new Set<Promise<void>>()
  #settings: RefresherSettings
  #timer: NodeJS.Timeout | undefined
  #sweep: ScheduledTask | undefined
  /** Present from start to stop. */
  #running: AbortController | undefined

  constructor(options: RefresherOptions) {
    this.#options = options
    this.#settings = options.settings
    this.#clock = options.clock ?? SYSTEM_CLOCK
    this.#concurrency = options.concurrency ?? 128
    this.#lookupLog = new LookupLog(options.log)
    this.#schedule = new Schedule({
      limits: limitsOf(options.settings),
      seed: options.seed,
      random: options.random ?? Math.random,
    })
    this.#limit = new RateLimit(options.settings.maxQueriesPerSecond, this.#clock.monotonicMs())
    this.#configure()
  }

  start(): void {
    if (this.#running) return
    this.#running = new AbortController()
    // One listener a question on its way.
    setMaxListeners(0, this.#running.signal)
    this.#armSweep()
    this.#askDue()
  }

  /** Asks nothing more and waits for what is on its way, which is called off. Safe to call twice. */
  async stop(): Promise<void> {
    this.#running?.abort()
    this.#running = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    const sweep = this.#sweep
    this.#sweep = undefined
    await sweep?.destroy()
    await Promise.all(this.#onTheWay)
    this.#lookupLog.flush(this.#clock.monotonicMs())
  }

  /** From now on these names and limits: the address store forgets removed names at once, new names are asked at once. */
  reconfigure(settings: RefresherSettings): void {
    const otherSweep = settings.sweep !== this.#settings.sweep
    this.#settings = settings
    this.#limit.setRate(settings.maxQueriesPerSecond, this.#clock.monotonicMs())
    this.#configure()
    this.#lookupLog.forgetAllBut(settings.names)
    if (this.#options.addressStore.hasChanged) this.#options.onChange()
    if (!this.#running) return
    if (otherSweep) {
      void this.#sweep?.destroy()
      this.#armSweep()
    }
    this.#askDue()
  }

  /** Every name comes up within `intervalMs`, for instance because the name servers changed. */
  sweep(intervalMs: number): void {
    this.#schedule.sweep(this.#clock.monotonicMs(), intervalMs)
    this.#askDue()
  }

  #configure(): void {
    const { names, patterns, limits } = this.#settings
    this.#options.addressStore.configure(new Map([...names, ...patterns]), limits)
    this.#schedule.configure(names.keys(), this.#clock.monotonicMs(), limitsOf(this.#settings))
  }

  #armSweep(): void {
    const { log } = this.#options
    const task = scheduleCron(this.#settings.sweep, () => this.sweep(task.msToNext() ?? 0), {
      timezone: 'UTC',
      noOverlap: true,
      logger: {
        info: (message) => log.debug({}, message),
        warn: (message) => log.debug({}, message),
        error: (fault) => log.error({ err: fault }, 'sweep failed'),
        debug: (message) => log.debug({}, String(message)),
      },
    })
    this.#sweep = task
  }

  /** Starts as many look-ups as are due and allowed, then arms the timer for the rest. */
  #askDue(): void {
    const running = this.#running
    if (!running) return
    const nowMs = this.#clock.monotonicMs()
    const affordable = Math.floor(this.#limit.available(nowMs) / QUERIES_PER_NAME)
    const room = this.#concurrency - this.#onTheWay.size
    for (const name of this.#schedule.takeDue(nowMs, Math.min(affordable, room))) {
      this.#limit.take(QUERIES_PER_NAME, nowMs)
      const asking = this.#ask(name, running.signal).finally(() => {
        this.#onTheWay.delete(asking)
        this.#askDue()
      })
      this.#onTheWay.add(asking)
    }
    this.#armTimer(nowMs)
  }

  #armTimer(nowMs: number): void {
    clearTimeout(this.#timer)
    const waits: number[] = []
    const dueMs = this.#schedule.nextDueMs()
    // With all places taken the next answer starts more.
    if (dueMs !== undefined && this.#onTheWay.size < this.#concurrency) {
      waits.push(Math.max(dueMs - nowMs, this.#limit.waitMs(QUERIES_PER_NAME, nowMs)))
    }
    const summaryMs = this.#lookupLog.dueInMs(nowMs)
    if (summaryMs !== undefined) waits.push(summaryMs)
    if (waits.length === 0) return
    this.#timer = setTimeout(
      () => {
        const firedMs = this.#clock.monotonicMs()
        if (this.#lookupLog.dueInMs(firedMs) === 0) this.#lookupLog.flush(firedMs)
        this.#askDue()
      },
      Math.min(Math.max(1, Math.ceil(Math.min(...waits))), LONGEST_TIMER_MS),
    )
  }

  async #ask(name: Hostname, signal: AbortSignal): Promise<void> {
    const { addressStore, log } = this.#options
    try {
      const ttlsMs = await Promise.all(FAMILIES.map((family) => this.#askFamily(name, family, signal)))
      const nowMs = this.#clock.monotonicMs()
      if (signal.aborted) this.#schedule.calledOff(name, nowMs)
      else if (addressStore.state(name) === 'fresh')
        this.#schedule.succeeded(name, nowMs, Math.min(...ttlsMs))
      else this.#schedule.failed(name, nowMs)
    } catch (error) {
      log.error({ err: error, name }, 'the outcome of a look-up could not be recorded')
      this.#schedule.failed(name, this.#clock.monotonicMs())
    }
  }

  /** Resolves to the least TTL of the answer, Infinity for none. The address store gets the answer at once, so that a slow family does not delay the other. */
  async #askFamily(name: Hostname, family: Family, signal: AbortSignal): Promise<number> {
    const { addressStore, isHostAddress, onLookup, onChange } = this.#options
    const startMs = this.#clock.monotonicMs()
    const lookup = await this.#options.resolver.lookup(name, family, signal)
    if (signal.aborted) return Number.POSITIVE_INFINITY
    const endMs = this.#clock.monotonicMs()
    const result = addressStore.record(name, family, lookup, this.#clock.epochMs(), isHostAddress)
    this.#lookupLog.note(name, result, () => addressStore.status(name)?.lastError, endMs)
    onLookup?.({ name, family, lookup, durationMs: endMs - startMs, refused: result.refused })
    if (addressStore.hasChanged) onChange()
    const records = lookup.kind === 'addresses' ? lookup.records : []
    return records.reduce((least, { ttlMs }) => Math.min(least, ttlMs), Number.POSITIVE_INFINITY)
  }
}

const limitsOf = ({ refresh }: RefresherSettings) => ({
  refreshMinMs: refresh.minMs,
  refreshMaxMs: refresh.maxMs,
})
