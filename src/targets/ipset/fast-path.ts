import type { Membership } from '../../dataplane/membership.ts'
import { elementOf } from './elements.ts'
import { placeOf, type LeavingElements } from './diff.ts'
import type { KnownElement, KnownSet } from './known.ts'
import type { Additions, ElementWrite } from './render.ts'
import { hasOtherTimeout } from './time-left.ts'
import { LatelyWritten, type Written } from './lately-written.ts'

export interface FastPathOptions {
  readonly known: ReadonlyMap<string, KnownSet>
  /** Resolves when the kernel has all of it. */
  readonly write: (additions: readonly Additions[]) => Promise<void>
}

interface ElementPlace {
  readonly set: string
  readonly element: string
}

/** A place where something is missing, and what is known of it. */
interface MissingElement extends ElementPlace {
  readonly known: KnownSet | undefined
  readonly before: KnownElement | undefined
}

interface WantedElement {
  readonly set: string
  readonly known: KnownSet
  readonly before: KnownElement | undefined
  readonly write: ElementWrite
}

/** Elements that are written together, by set. */
interface ElementBatch {
  readonly writes: Map<string, ElementWrite[]>
  readonly written: Written[]
  readonly writing: Promise<void>
}

/** Rejects as one of them did, and not before all are settled: whoever hears of it looks at the places of all. */
async function allDone(waits: Iterable<Promise<void>>): Promise<void> {
  const results = await Promise.allSettled(waits)
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

/** Of what did not land: no reading began before. */
const NEVER = Number.NEGATIVE_INFINITY

/**
 * Brings single elements into the kernel at once, beside the passes: somebody waits for them. A pass that reads the sets meanwhile, or takes something
 * out of them, is told what was written since it looked.
 */
export class FastPath {
  readonly #options: FastPathOptions
  readonly #lately = new LatelyWritten()
  readonly #onTheWay = new Set<ElementBatch>()
  /** What is on its way, by set and element. */
  readonly #arriving = new Map<string, Map<string, Promise<void>>>()
  /** What is written next. */
  #batch: ElementBatch | undefined
  #leaving: LeavingElements | undefined
  #settled: Promise<void> = Promise.resolve()
  #settle: () => void = () => undefined
  #isBlind = false

  constructor(options: FastPathOptions) {
    this.#options = options
  }

  /** The sets are not believed to be what is known: everything is written, whether it stands or not. */
  set blind(isBlind: boolean) {
    this.#isBlind = isBlind
  }

  /**
   * Undefined: the kernel holds all of them. Rejects when one could not be written.
   * @param timeoutSeconds how long the kernel keeps what does not end sooner
   */
  bring(
    places: readonly ElementPlace[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> | undefined {
    let missing: MissingElement[] | undefined
    for (const { set, element } of places) {
      const known = this.#options.known.get(set)
      const before = known?.elements.get(element)
      const endMs = membership.endOf(set, element)
      if (
        !this.#stands(set, element, before, nowMs) ||
        hasOtherTimeout(before.expiresAtMs, endMs, timeoutSeconds, nowMs)
      )
        (missing ??= []).push({ set, element, known, before })
    }
    if (!missing) return undefined
    if (missing.some(({ set, element }) => this.#isLeaving(set, element)))
      return this.#settled.then(() => this.bring(places, membership, timeoutSeconds, nowMs))
    return this.#write(missing, membership, timeoutSeconds, nowMs)
  }

  /** A pass decided what it will take away: until it is done, nobody relies on that. */
  leaving(leaving: LeavingElements): void {
    this.done()
    this.#leaving = leaving
    this.#settled = new Promise((resolve) => (this.#settle = resolve))
  }

  /** Resolves when nothing is on its way into what a pass takes away: it would come after that, and stay, with nobody who knows of it. */
  async landed(): Promise<void> {
    const leaving = [...this.#onTheWay].filter(({ writes }) =>
      Array.from(writes).some(([set, ofSet]) => ofSet.some(({ element }) => this.#isLeaving(set, element))),
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

  #stands(
    set: string,
    element: string,
    known: KnownElement | undefined,
    nowMs: number,
  ): known is KnownElement {
    if (known === undefined || known.expiresAtMs <= nowMs || this.#isBlind) return false
    return !this.#isLeaving(set, element) && !this.#arriving.get(set)?.has(element)
  }

  #isLeaving(set: string, element: string): boolean {
    return (
      this.#leaving !== undefined &&
      (this.#leaving.sets.has(set) || this.#leaving.elements.has(placeOf(set, element)))
    )
  }

  /** What is on its way already is waited for. */
  #write(
    missing: readonly MissingElement[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    const waits = new Set<Promise<void>>()
    const wanted: WantedElement[] = []
    for (const { set, element, known, before } of missing) {
      // What is on its way is known.
      const arriving = before && this.#arriving.get(set)?.get(element)
      const write = arriving ? undefined : elementOf(membership, set, element, timeoutSeconds, nowMs)
      if (arriving) waits.add(arriving)
      else if (known && write) wanted.push({ set, known, before, write })
      else return Promise.reject(new Error(`the set ${set} is not there yet`))
    }
    for (const one of wanted) waits.add(this.#add(one, nowMs))
    const [first, ...others] = waits
    return others.length === 0 ? (first ?? Promise.resolve()) : allDone(waits)
  }

  /** Resolves with all that is written in the same turn of microtasks: what arrived together is written together. */
  #add({ set, known, before, write }: WantedElement, nowMs: number): Promise<void> {
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
    const written: Written = { element, known: fresh, landedMs: undefined }
    batch.written.push(written)
    this.#lately.put(set, written)
    const writes = batch.writes.get(set)
    if (writes) writes.push(write)
    else batch.writes.set(set, [write])
    const arriving = this.#arriving.get(set)
    if (arriving) arriving.set(element, writing)
    else this.#arriving.set(set, new Map([[element, writing]]))
    return writing
  }

  #begin(): ElementBatch {
    const writes: ElementBatch['writes'] = new Map()
    const written: Written[] = []
    const writing = Promise.resolve().then(async () => {
      this.#batch = undefined
      try {
        await this.#options.write(Array.from(writes, ([set, ofSet]) => ({ set, writes: ofSet })))
        const landedMs = performance.now()
        for (const one of written) one.landedMs = landedMs
      } catch (error) {
        for (const [set, ofSet] of writes)
          for (const { element } of ofSet) this.#options.known.get(set)?.elements.delete(element)
        for (const one of written) one.landedMs = NEVER
        throw error
      } finally {
        this.#onTheWay.delete(batch)
        for (const [set, ofSet] of writes)
          for (const { element } of ofSet) this.#arriving.get(set)?.delete(element)
      }
    })
    const batch: ElementBatch = { written, writes, writing }
    this.#onTheWay.add(batch)
    return batch
  }
}
