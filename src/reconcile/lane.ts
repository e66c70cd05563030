import type { Membership } from '../dataplane/membership.ts'
import { elementOf, placeOf, type KnownElement, type KnownSet, type Leaving } from '../ipset/sync.ts'
import { renderAdd, type ElementWrite } from '../ipset/render.ts'

export interface LaneOptions {
  readonly known: ReadonlyMap<string, KnownSet>
  /** Resolves when the kernel has all lines. */
  readonly write: (lines: readonly string[]) => Promise<void>
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

/** Longer than any reading of the sets takes. */
const REMEMBERED_MS = 25_000
/** What is forgotten too soon is taken for somebody else's and written once more. */
const MOST_REMEMBERED = 100_000

/**
 * Brings single elements into the kernel at once, beside the passes: somebody waits for them. A pass that reads the sets meanwhile, or takes something
 * out of them, is told what was written since it looked.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #inFlight = new Map<string, Promise<void>>()
  /** What is on its way, and what landed lately, in the order in which it set out. */
  readonly #written = new Map<string, Written>()
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
    return [...this.#written.values()]
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

  async #bring(
    places: readonly Place[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    while (places.some(({ set, element }) => this.#isLeaving(set, placeOf(set, element)))) await this.#settled
    const missing = places.filter((place) => !this.#stands(place, nowMs))
    const waits: Promise<void>[] = []
    const mine: Place[] = []
    for (const place of missing) {
      const inFlight = this.#inFlight.get(placeOf(place.set, place.element))
      if (inFlight) waits.push(inFlight)
      else mine.push(place)
    }
    if (mine.length > 0) waits.push(this.#write(mine, membership, timeoutSeconds, nowMs))
    await Promise.all(waits)
  }

  #write(
    places: readonly Place[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    const writes: { place: Place; known: KnownSet; write: ElementWrite }[] = []
    for (const place of places) {
      const known = this.#options.known.get(place.set)
      const write = elementOf(membership, place.set, place.element, timeoutSeconds)
      if (!known || !write) return Promise.reject(new Error(`the set ${place.set} is not there yet`))
      writes.push({ place, known, write })
    }
    const lines: string[] = []
    for (const { place, known, write } of writes) {
      lines.push(renderAdd(place.set, write))
      // Known before it is written: a reading of the set that comes in between must not take it for somebody else's.
      const before = known.elements.get(place.element)
      const fresh = {
        packets: before?.packets ?? 0,
        bytes: before?.bytes ?? 0,
        comment: write.comment,
        expiresAtMs: nowMs + timeoutSeconds * 1000,
      }
      known.elements.set(place.element, fresh)
      this.#remember(place, fresh)
    }
    const writing = this.#options
      .write(lines)
      .catch((error: unknown) => {
        for (const { set, element } of places) {
          this.#options.known.get(set)?.elements.delete(element)
          this.#written.delete(placeOf(set, element))
        }
        throw error
      })
      .finally(() => {
        const landedMs = performance.now()
        for (const { set, element } of places) {
          const key = placeOf(set, element)
          this.#inFlight.delete(key)
          const written = this.#written.get(key)
          if (written) written.landedMs = landedMs
        }
      })
    for (const { set, element } of places) this.#inFlight.set(placeOf(set, element), writing)
    return writing
  }

  #remember(place: Place, known: KnownElement): void {
    const key = placeOf(place.set, place.element)
    const nowMs = performance.now()
    this.#written.delete(key)
    this.#written.set(key, { set: place.set, element: place.element, known, landedMs: undefined })
    for (const [oldest, { landedMs = nowMs }] of this.#written) {
      if (nowMs - landedMs < REMEMBERED_MS && this.#written.size <= MOST_REMEMBERED) break
      this.#written.delete(oldest)
    }
  }
}
