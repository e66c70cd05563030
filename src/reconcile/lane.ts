import type { Membership } from '../dataplane/membership.ts'
import { elementOf, placeOf, type KnownElement, type KnownSet, type Leaving } from '../ipset/sync.ts'
import type { Additions, ElementWrite } from '../ipset/render.ts'

export interface LaneOptions {
  readonly known: ReadonlyMap<string, KnownSet>
  /** Resolves when the kernel has all of it. */
  readonly write: (additions: readonly Additions[]) => Promise<void>
}

interface Place {
  readonly set: string
  readonly element: string
}

interface Written extends Place {
  readonly known: KnownElement
  /** Monotonic ms; undefined: it is on its way. */
  landedMs: number | undefined
}

interface Missing {
  readonly place: Place
  readonly known: KnownSet
  readonly write: ElementWrite
}

interface Batch {
  readonly places: Place[]
  readonly writes: Map<string, ElementWrite[]>
  readonly written: Promise<void>
}

/** Longer than any reading of the sets takes. */
const REMEMBERED_MS = 25_000
/** More are remembered for a shorter time. What is forgotten too soon is taken for somebody else's and written once more. */
const MOST_REMEMBERED = 50_000

/**
 * Brings single elements into the kernel at once, beside the passes: somebody waits for them. A pass that reads the sets meanwhile, or takes something
 * out of them, is told what was written since it looked.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #inFlight = new Map<string, Promise<void>>()
  /**
   * What is on its way, and what landed lately. In two generations, the older of which is forgotten whole: a map whose oldest entry is taken out each time
   * passes over all those that went before.
   */
  #written = new Map<string, Written>()
  #writtenBefore = new Map<string, Written>()
  #turnedMs = performance.now()
  /** What is written next. */
  #batch: Batch | undefined
  #leaving: Leaving | undefined
  #settled: Promise<void> = Promise.resolve()
  #settle: () => void = () => undefined
  #isBlind = false

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** The sets are not believed to be what is known: everything is written, whether it stands or not. */
  set blind(isBlind: boolean) {
    this.#isBlind = isBlind
  }

  /**
   * Undefined: the kernel holds all of them. Rejects when one could not be written.
   * @param timeoutSeconds how long the kernel keeps them
   */
  bring(
    places: readonly Place[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> | undefined {
    if (places.every((place) => this.#stands(place, nowMs))) return undefined
    return this.#bring(places, membership, timeoutSeconds, nowMs)
  }

  /** A pass decided what it will take away: until it is done, nobody relies on that. */
  leaving(leaving: Leaving): void {
    this.done()
    this.#leaving = leaving
    this.#settled = new Promise((resolve) => (this.#settle = resolve))
  }

  /** Resolves when nothing is on its way into what a pass takes away: it would come after that, and stay, with nobody who knows of it. */
  async landed(): Promise<void> {
    const leaving = [...this.#inFlight].filter(([key]) =>
      this.#isLeaving(key.slice(0, key.indexOf(' ')), key),
    )
    await Promise.allSettled(leaving.map(([, writing]) => writing))
  }

  done(): void {
    this.#leaving = undefined
    this.#settle()
  }

  /** What landed in a set since a reading of it began, or is still on its way: the reading may or may not have seen it. */
  since(set: string, startMs: number): (readonly [string, KnownElement])[] {
    return [...this.#writtenBefore.values(), ...this.#written.values()]
      .filter((one) => one.set === set && (one.landedMs ?? startMs) >= startMs)
      .map(({ element, known }) => [element, known])
  }

  #stands({ set, element }: Place, nowMs: number): boolean {
    if (this.#isBlind) return false
    if (this.#inFlight.size > 0 || this.#leaving) {
      const key = placeOf(set, element)
      if (this.#inFlight.has(key) || this.#isLeaving(set, key)) return false
    }
    const known = this.#options.known.get(set)?.elements.get(element)
    return known !== undefined && known.expiresAtMs > nowMs
  }

  #isLeaving(set: string, key: string): boolean {
    return this.#leaving !== undefined && (this.#leaving.sets.has(set) || this.#leaving.elements.has(key))
  }

  #bring(
    places: readonly Place[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    if (places.some(({ set, element }) => this.#isLeaving(set, placeOf(set, element))))
      return this.#settled.then(() => this.#bring(places, membership, timeoutSeconds, nowMs))
    const waits = new Set<Promise<void>>()
    const missing: Missing[] = []
    for (const place of places) {
      if (this.#stands(place, nowMs)) continue
      const { set, element } = place
      const inFlight = this.#inFlight.get(placeOf(set, element))
      const known = this.#options.known.get(set)
      const write = elementOf(membership, set, element, timeoutSeconds)
      if (inFlight) waits.add(inFlight)
      else if (known && write) missing.push({ place, known, write })
      else return Promise.reject(new Error(`the set ${set} is not there yet`))
    }
    for (const one of missing) waits.add(this.#write(one, nowMs))
    const [first, ...others] = waits
    return others.length === 0 ? (first ?? Promise.resolve()) : Promise.all(waits).then(() => undefined)
  }

  /** Resolves with all that is written in the same turn of microtasks: what arrived together is written together. */
  #write({ place, known, write }: Missing, nowMs: number): Promise<void> {
    const { set, element } = place
    // Known before it is written: a reading of the set that comes in between must not take it for somebody else's.
    const before = known.elements.get(element)
    const fresh = {
      packets: before?.packets ?? 0,
      bytes: before?.bytes ?? 0,
      comment: write.comment,
      expiresAtMs: nowMs + write.timeoutSeconds * 1000,
    }
    known.elements.set(element, fresh)
    this.#remember(place, fresh)
    const batch = (this.#batch ??= this.#begin())
    batch.places.push(place)
    const writes = batch.writes.get(set)
    if (writes) writes.push(write)
    else batch.writes.set(set, [write])
    this.#inFlight.set(placeOf(set, element), batch.written)
    return batch.written
  }

  #begin(): Batch {
    const places: Place[] = []
    const writes = new Map<string, ElementWrite[]>()
    const written = Promise.resolve().then(async () => {
      this.#batch = undefined
      try {
        await this.#options.write(Array.from(writes, ([set, ofSet]) => ({ set, writes: ofSet })))
      } catch (error) {
        for (const { set, element } of places) {
          const key = placeOf(set, element)
          this.#options.known.get(set)?.elements.delete(element)
          this.#written.delete(key)
          this.#writtenBefore.delete(key)
        }
        throw error
      } finally {
        const landedMs = performance.now()
        for (const { set, element } of places) {
          const key = placeOf(set, element)
          this.#inFlight.delete(key)
          const found = this.#written.get(key) ?? this.#writtenBefore.get(key)
          if (found) found.landedMs = landedMs
        }
      }
    })
    return { places, writes, written }
  }

  #remember(place: Place, known: KnownElement): void {
    const key = placeOf(place.set, place.element)
    const nowMs = performance.now()
    if (this.#written.size >= MOST_REMEMBERED || nowMs - this.#turnedMs >= REMEMBERED_MS) {
      this.#writtenBefore = this.#written
      this.#written = new Map()
      this.#turnedMs = nowMs
    }
    this.#writtenBefore.delete(key)
    this.#written.set(key, { set: place.set, element: place.element, known, landedMs: undefined })
  }
}
