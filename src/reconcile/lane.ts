import type { Membership } from '../dataplane/membership.ts'
import { elementOf, placeOf, type KnownElement, type KnownSet, type Leaving } from '../ipset/sync.ts'
import type { Additions, ElementWrite } from '../ipset/render.ts'
import { LatelyWritten, type Written } from './lately-written.ts'

export interface LaneOptions {
  readonly known: ReadonlyMap<string, KnownSet>
  /** Resolves when the kernel has all of it. */
  readonly write: (additions: readonly Additions[]) => Promise<void>
}

interface Place {
  readonly set: string
  readonly element: string
}

/** What is to be written, and what is known of its place. */
interface Wanted {
  readonly set: string
  readonly known: KnownSet
  readonly before: KnownElement | undefined
  readonly write: ElementWrite
}

/** Elements that are written together. */
interface Batch {
  readonly written: Written[]
  readonly writes: Map<string, ElementWrite[]>
  readonly writing: Promise<void>
}

/**
 * Brings single elements into the kernel at once, beside the passes: somebody waits for them. A pass that reads the sets meanwhile, or takes something
 * out of them, is told what was written since it looked.
 */
export class Lane {
  readonly #options: LaneOptions
  readonly #lately = new LatelyWritten()
  readonly #onTheWay = new Set<Batch>()
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
    let missing: Place[] | undefined
    for (const place of places) if (!this.#stands(place, nowMs)) (missing ??= []).push(place)
    if (!missing) return undefined
    if (missing.some(({ set, element }) => this.#isLeaving(set, element)))
      return this.#settled.then(() => this.bring(places, membership, timeoutSeconds, nowMs))
    return this.#write(missing, membership, timeoutSeconds, nowMs)
  }

  /** A pass decided what it will take away: until it is done, nobody relies on that. */
  leaving(leaving: Leaving): void {
    this.done()
    this.#leaving = leaving
    this.#settled = new Promise((resolve) => (this.#settle = resolve))
  }

  /** Resolves when nothing is on its way into what a pass takes away: it would come after that, and stay, with nobody who knows of it. */
  async landed(): Promise<void> {
    const leaving = [...this.#onTheWay].filter(({ written }) =>
      written.some(({ set, element }) => this.#isLeaving(set, element)),
    )
    await Promise.allSettled(leaving.map(({ writing }) => writing))
  }

  done(): void {
    this.#leaving = undefined
    this.#settle()
  }

  /** What landed in a set since a reading of it began, or is still on its way: the reading may or may not have seen it. */
  since(set: string, startMs: number): (readonly [string, KnownElement])[] {
    const since: (readonly [string, KnownElement])[] = []
    for (const { element, known, landedMs = startMs } of this.#lately.of(set))
      if (landedMs >= startMs) since.push([element, known])
    return since
  }

  #stands({ set, element }: Place, nowMs: number): boolean {
    const known = this.#options.known.get(set)?.elements.get(element)
    if (known === undefined || known.expiresAtMs <= nowMs || this.#isBlind) return false
    return !this.#isLeaving(set, element) && !this.#arriving(set, element)
  }

  #arriving(set: string, element: string): Promise<void> | undefined {
    if (this.#onTheWay.size === 0) return undefined
    return this.#lately.get(set, element)?.writing
  }

  #isLeaving(set: string, element: string): boolean {
    return (
      this.#leaving !== undefined &&
      (this.#leaving.sets.has(set) || this.#leaving.elements.has(placeOf(set, element)))
    )
  }

  /** What is on its way already is waited for. */
  #write(
    missing: readonly Place[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    const waits = new Set<Promise<void>>()
    const wanted: Wanted[] = []
    for (const { set, element } of missing) {
      const known = this.#options.known.get(set)
      const before = known?.elements.get(element)
      // What is on its way is known.
      const arriving = before && this.#arriving(set, element)
      const write = arriving ? undefined : elementOf(membership, set, element, timeoutSeconds)
      if (arriving) waits.add(arriving)
      else if (known && write) wanted.push({ set, known, before, write })
      else return Promise.reject(new Error(`the set ${set} is not there yet`))
    }
    for (const one of wanted) waits.add(this.#add(one, nowMs))
    const [first, ...others] = waits
    return others.length === 0 ? (first ?? Promise.resolve()) : Promise.all(waits).then(() => undefined)
  }

  /** Resolves with all that is written in the same turn of microtasks: what arrived together is written together. */
  #add({ set, known, before, write }: Wanted, nowMs: number): Promise<void> {
    const { element } = write
    // Known before it is written: a reading of the set that comes in between must not take it for somebody else's.
    const fresh = {
      packets: before?.packets ?? 0,
      bytes: before?.bytes ?? 0,
      comment: write.comment,
      expiresAtMs: nowMs + write.timeoutSeconds * 1000,
    }
    known.elements.set(element, fresh)
    const batch = (this.#batch ??= this.#begin())
    const { writing } = batch
    const written: Written = { set, element, known: fresh, writing, landedMs: undefined }
    batch.written.push(written)
    this.#lately.put(written)
    const writes = batch.writes.get(set)
    if (writes) writes.push(write)
    else batch.writes.set(set, [write])
    return writing
  }

  #begin(): Batch {
    const writes = new Map<string, ElementWrite[]>()
    const written: Written[] = []
    const writing = Promise.resolve().then(async () => {
      this.#batch = undefined
      try {
        await this.#options.write(Array.from(writes, ([set, ofSet]) => ({ set, writes: ofSet })))
      } catch (error) {
        for (const one of written) {
          this.#options.known.get(one.set)?.elements.delete(one.element)
          this.#lately.delete(one)
        }
        throw error
      } finally {
        this.#onTheWay.delete(batch)
        const landedMs = performance.now()
        for (const one of written) {
          one.landedMs = landedMs
          // What is remembered of it shall not keep all that was written with it.
          one.writing = undefined
        }
      }
    })
    const batch: Batch = { written, writes, writing }
    this.#onTheWay.add(batch)
    return batch
  }
}
