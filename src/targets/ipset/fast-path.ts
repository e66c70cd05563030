import type { Membership } from '../../dataplane/membership.ts'
import { elementOf } from './elements.ts'
import { placeOf, type Removal } from './diff.ts'
import type { KnownElement, KnownSet } from './known.ts'
import type { Additions, ElementWrite } from './render.ts'
import { hasOtherTimeout } from './time-left.ts'
import { RecentWrites, type RecentWrite } from './recent-writes.ts'

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
  readonly written: RecentWrite[]
  readonly writing: Promise<void>
}

/** Rejects when one of them did, but only after all have settled: the caller then looks at every place. */
async function allDone(waits: Iterable<Promise<void>>): Promise<void> {
  const results = await Promise.allSettled(waits)
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

/** For a write that failed: every reading began after it. */
const NEVER = Number.NEGATIVE_INFINITY

/**
 * Writes single elements into the kernel's sets at once, beside the passes, because a container waits for the answer of the gateway. A pass that
 * reads the sets or removes something in the meantime asks here what was written since it looked.
 */
export class FastPath {
  readonly #options: FastPathOptions
  readonly #recent = new RecentWrites()
  readonly #inFlight = new Set<ElementBatch>()
  /** The write of each element that the kernel does not have yet, by set and element. */
  readonly #inFlightElements = new Map<string, Map<string, Promise<void>>>()
  /** The batch that is still being filled. */
  #batch: ElementBatch | undefined
  #removal: Removal | undefined
  /** Resolves when the pass has removed what it planned to remove. */
  #removalEnded: Promise<void> = Promise.resolve()
  #endWait: () => void = () => undefined
  #distrustsKnown = false

  constructor(options: FastPathOptions) {
    this.#options = options
  }

  /** While true, the sets may hold something else than is known, so every element is written, known or not. */
  set distrustsKnown(distrusts: boolean) {
    this.#distrustsKnown = distrusts
  }

  /**
   * Makes the kernel hold all of these elements. Undefined: it does already. Rejects when one could not be written.
   * @param timeoutSeconds how long the kernel keeps an element whose right does not end sooner
   */
  ensure(
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
        !this.#isInKernel(set, element, before, nowMs) ||
        hasOtherTimeout(before.expiresAtMs, endMs, timeoutSeconds, nowMs)
      )
        (missing ??= []).push({ set, element, known, before })
    }
    if (!missing) return undefined
    if (missing.some(({ set, element }) => this.#isBeingRemoved(set, element)))
      return this.#removalEnded.then(() => this.ensure(places, membership, timeoutSeconds, nowMs))
    return this.#write(missing, membership, timeoutSeconds, nowMs)
  }

  /** A pass has decided what it will remove. Until {@link endRemoval}, those elements do not count as being in the kernel. */
  beginRemoval(removal: Removal): void {
    this.endRemoval()
    this.#removal = removal
    this.#removalEnded = new Promise((resolve) => (this.#endWait = resolve))
  }

  /** Resolves when no write is in flight to what the pass removes. Such a write could arrive after the removal, and its element would stay unknown. */
  async writesSettled(): Promise<void> {
    const affected = [...this.#inFlight].filter(({ writes }) =>
      Array.from(writes).some(([set, ofSet]) =>
        ofSet.some(({ element }) => this.#isBeingRemoved(set, element)),
      ),
    )
    await Promise.allSettled(affected.map(({ writing }) => writing))
  }

  endRemoval(): void {
    this.#removal = undefined
    this.#endWait()
  }

  /** Elements of a set that were written since a reading of it began, or are in flight: the reading may or may not have seen them. */
  writtenSince(set: string, startMs: number): (readonly [string, KnownElement])[] {
    const since: (readonly [string, KnownElement])[] = []
    for (const { element, known, writtenAtMs = startMs } of this.#recent.of(set))
      if (writtenAtMs >= startMs) since.push([element, known])
    return since
  }

  #isInKernel(
    set: string,
    element: string,
    known: KnownElement | undefined,
    nowMs: number,
  ): known is KnownElement {
    if (known === undefined || known.expiresAtMs <= nowMs || this.#distrustsKnown) return false
    return !this.#isBeingRemoved(set, element) && !this.#inFlightElements.get(set)?.has(element)
  }

  #isBeingRemoved(set: string, element: string): boolean {
    return (
      this.#removal !== undefined &&
      (this.#removal.sets.has(set) || this.#removal.elements.has(placeOf(set, element)))
    )
  }

  /** Elements that are in flight already are only waited for. */
  #write(
    missing: readonly MissingElement[],
    membership: Membership,
    timeoutSeconds: number,
    nowMs: number,
  ): Promise<void> {
    const waits = new Set<Promise<void>>()
    const wanted: WantedElement[] = []
    for (const { set, element, known, before } of missing) {
      // An element in flight is among the known ones.
      const inFlight = before && this.#inFlightElements.get(set)?.get(element)
      const write = inFlight ? undefined : elementOf(membership, set, element, timeoutSeconds, nowMs)
      if (inFlight) waits.add(inFlight)
      else if (known && write) wanted.push({ set, known, before, write })
      else return Promise.reject(new Error(`the set ${set} is not there yet`))
    }
    for (const one of wanted) waits.add(this.#add(one, nowMs))
    const [first, ...others] = waits
    return others.length === 0 ? (first ?? Promise.resolve()) : allDone(waits)
  }

  /** Resolves together with all elements that are added in the same turn of microtasks: they are one write. */
  #add({ set, known, before, write }: WantedElement, nowMs: number): Promise<void> {
    const { element } = write
    // Known before it is written, so that a reading of the set in between does not take it for an element that somebody else added.
    const fresh = {
      packets: before?.packets ?? 0,
      bytes: before?.bytes ?? 0,
      comment: write.comment,
      expiresAtMs: nowMs + write.timeoutSeconds * 1000,
    }
    known.elements.set(element, fresh)
    const batch = (this.#batch ??= this.#begin())
    const { writing } = batch
    const written: RecentWrite = { element, known: fresh, writtenAtMs: undefined }
    batch.written.push(written)
    this.#recent.put(set, written)
    const writes = batch.writes.get(set)
    if (writes) writes.push(write)
    else batch.writes.set(set, [write])
    const inFlight = this.#inFlightElements.get(set)
    if (inFlight) inFlight.set(element, writing)
    else this.#inFlightElements.set(set, new Map([[element, writing]]))
    return writing
  }

  #begin(): ElementBatch {
    const writes: ElementBatch['writes'] = new Map()
    const written: RecentWrite[] = []
    const writing = Promise.resolve().then(async () => {
      this.#batch = undefined
      try {
        await this.#options.write(Array.from(writes, ([set, ofSet]) => ({ set, writes: ofSet })))
        const writtenAtMs = performance.now()
        for (const one of written) one.writtenAtMs = writtenAtMs
      } catch (error) {
        for (const [set, ofSet] of writes)
          for (const { element } of ofSet) this.#options.known.get(set)?.elements.delete(element)
        for (const one of written) one.writtenAtMs = NEVER
        throw error
      } finally {
        this.#inFlight.delete(batch)
        for (const [set, ofSet] of writes)
          for (const { element } of ofSet) this.#inFlightElements.get(set)?.delete(element)
      }
    })
    const batch: ElementBatch = { written, writes, writing }
    this.#inFlight.add(batch)
    return batch
  }
}
