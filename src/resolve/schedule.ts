import type { Hostname } from '../net/types.ts'
import { DueHeap } from './due-heap.ts'

export interface ScheduleLimits {
  readonly refreshMinMs: number
  readonly refreshMaxMs: number
}

/** The first retry after a failure comes no later than this. */
const FIRST_RETRY_MS = 5_000
/** Due times move by up to this part either way, so that names of one TTL do not stay together for ever. */
const JITTER = 0.1
/** Due times lie on a grid of this part of the shortest refresh: names that are asked together wake the process once. */
const GRID = 1 / 60

/** Which names are due. Time is any clock that never goes back. A name that was taken is not due again before its outcome is known. */
export class Schedule {
  #limits: ScheduleLimits
  readonly #due = new DueHeap<Hostname>()
  /** Taken, outcome awaited. */
  readonly #taken = new Set<Hostname>()
  readonly #failures = new Map<Hostname, number>()
  readonly #seed: string
  readonly #random: () => number

  constructor(options: {
    readonly limits: ScheduleLimits
    /** Gives each host its own order of sweeping, so that a fleet does not ask for the same name at the same second. */
    readonly seed: string
    /** In [0, 1). */
    readonly random: () => number
  }) {
    this.#limits = options.limits
    this.#seed = options.seed
    this.#random = options.random
  }

  get size(): number {
    return this.#due.size + this.#taken.size
  }

  /** New names are due at once, in their order; names that are missing here are forgotten. Tighter limits count from each name's next outcome. */
  configure(names: Iterable<Hostname>, nowMs: number, limits: ScheduleLimits = this.#limits): void {
    this.#limits = limits
    const wanted = new Set(names)
    for (const name of [...this.#due.names(), ...this.#taken]) if (!wanted.has(name)) this.#forget(name)
    for (const name of wanted) if (!this.#knows(name)) this.#due.put(name, nowMs)
  }

  /** A look-up brought what it should: due again when the least TTL of the answers, held within the limits, is up. */
  succeeded(name: Hostname, nowMs: number, ttlMs: number): void {
    if (!this.#knows(name)) return
    this.#failures.delete(name)
    const { refreshMinMs, refreshMaxMs } = this.#limits
    this.#put(name, nowMs, Math.min(Math.max(ttlMs, refreshMinMs), refreshMaxMs))
  }

  /** A look-up failed: due again soon, then ever later up to the longest refresh. */
  failed(name: Hostname, nowMs: number): void {
    if (!this.#knows(name)) return
    const failures = this.#failures.get(name) ?? 0
    this.#failures.set(name, failures + 1)
    const { refreshMinMs, refreshMaxMs } = this.#limits
    const backOffMs = Math.min(refreshMinMs, FIRST_RETRY_MS) * 2 ** Math.min(failures, 40)
    this.#put(name, nowMs, Math.min(backOffMs, refreshMaxMs))
  }

  /** A look-up was called off: due again at once. */
  calledOff(name: Hostname, nowMs: number): void {
    if (this.#taken.delete(name)) this.#due.put(name, nowMs)
  }

  /** Every name comes up within the interval, each at its own place in it; one that is due sooner stays so, one that is on its way gets its turn by its outcome. */
  sweep(nowMs: number, intervalMs: number): void {
    for (const name of this.#due.names()) {
      const sweptMs = nowMs + placeOf(this.#seed, name) * intervalMs
      if (sweptMs < (this.#due.dueMs(name) ?? 0)) this.#due.put(name, sweptMs)
    }
  }

  /** Takes out up to `max` names whose time has come, the longest due first. For each `succeeded`, `failed` or `calledOff` must be called. */
  takeDue(nowMs: number, max: number): Hostname[] {
    const names: Hostname[] = []
    while (names.length < max && (this.#due.firstDueMs() ?? Number.POSITIVE_INFINITY) <= nowMs) {
      const name = this.#due.pop()
      if (name === undefined) break
      this.#taken.add(name)
      names.push(name)
    }
    return names
  }

  /** When the next name is due, undefined when none waits. */
  nextDueMs(): number | undefined {
    return this.#due.firstDueMs()
  }

  #put(name: Hostname, nowMs: number, afterMs: number): void {
    this.#taken.delete(name)
    const dueMs = nowMs + afterMs * (1 - JITTER + 2 * JITTER * this.#random())
    const gridMs = this.#limits.refreshMinMs * GRID
    this.#due.put(name, Math.ceil(dueMs / gridMs) * gridMs)
  }

  #knows(name: Hostname): boolean {
    return this.#taken.has(name) || this.#due.dueMs(name) !== undefined
  }

  #forget(name: Hostname): void {
    this.#due.delete(name)
    this.#taken.delete(name)
    this.#failures.delete(name)
  }
}

/** A place in [0, 1) that is the same for the same seed and name (FNV-1a with a last mix, for names that differ in one letter). */
function placeOf(seed: string, name: string): number {
  let hash = 0x811c9dc5
  const text = `${seed}\0${name}`
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}
