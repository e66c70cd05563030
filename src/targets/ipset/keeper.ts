import type { DesiredState, Keeper, Phase, Scope, TargetChange } from '../keeper.ts'
import type { IpsetDriver } from './driver.ts'
import { FastPath } from './fast-path.ts'
import type { SetHeader } from './parse.ts'
import { renderAdditions, type Additions } from './render.ts'
import { diffSets, type SetsDiff } from './diff.ts'
import { knownFrom, type KnownSet } from './known.ts'

export interface SetsChange extends TargetChange, SetsDiff {}

/**
 * Keeps sets and their elements. Between readings they are believed to hold what was written last, so that an answer costs one write and no
 * read. Beside the passes the fast path writes single elements.
 */
export class SetsKeeper implements Keeper<SetsChange> {
  /** What the kernel is known to hold. After a failed write all of it is read again. */
  readonly known = new Map<string, KnownSet>()
  readonly fastPath: FastPath
  #isComplete = false
  #seen: readonly string[] = []
  #surprises: readonly string[] = []
  #compareAll = false

  /** @param writeAtOnce how the fast path writes; absent: like a pass */
  constructor(
    private readonly driver: IpsetDriver,
    writeAtOnce: ((additions: readonly Additions[]) => Promise<void>) | undefined,
  ) {
    this.fastPath = new FastPath({
      known: this.known,
      write: writeAtOnce ?? ((additions) => driver.write(renderAdditions(additions))),
    })
  }

  /** Sets that the last look read whole. */
  get seen(): readonly string[] {
    return this.#seen
  }

  /** Nothing that was known is believed any more: the next look reads every set. */
  forget(): void {
    this.#isComplete = false
    this.fastPath.distrustsKnown = true
  }

  /** Reads every set of ours, whole. */
  async readAll(nowMs: number): Promise<void> {
    const startMs = performance.now()
    const headers = await this.driver.headers()
    const filled = headers.filter((header) => header.entries > 0).map((header) => header.name)
    const elements = await this.driver.elements(filled)
    this.known.clear()
    for (const header of headers) {
      const found = elements.get(header.name) ?? []
      this.known.set(header.name, this.#withFastPath(knownFrom(header, found, nowMs), startMs))
    }
    this.#isComplete = true
    this.fastPath.distrustsKnown = false
  }

  /** Reads these sets again, as far as they exist. */
  async refresh(sets: readonly string[], nowMs: number): Promise<void> {
    await this.#readAgain(
      sets.filter((set) => this.known.has(set)),
      nowMs,
    )
  }

  async look(
    _: unknown,
    scope: Pick<Scope, 'headers' | 'read' | 'everything'>,
    nowMs: number,
  ): Promise<void> {
    if (!this.#isComplete) {
      await this.readAll(nowMs)
      this.#seen = [...this.known.keys()]
      this.#surprises = []
      this.#compareAll = true
      return
    }
    const suspects = scope.headers ? await this.#suspects() : []
    this.#seen = [...suspects, ...scope.read]
    this.#surprises = await this.#readAgain([...new Set(this.#seen)], nowMs)
    this.#compareAll = scope.everything || this.#surprises.length > 0
  }

  plan({ dataplane, membership }: Pick<DesiredState, 'dataplane' | 'membership'>, nowMs: number): SetsChange {
    const dirty = membership.takeDirty()
    const wanted = this.#compareAll ? { ...dirty, all: true } : dirty
    const diff = diffSets(dataplane.sets, membership, this.known, wanted, nowMs)
    this.fastPath.beginRemoval(diff.removal)
    return { ...diff, drift: this.#surprises.length > 0 ? ['set'] : [] }
  }

  /** Both phases are one process, where no rules are written between them. */
  async apply({ before, after, remember }: SetsChange, phases: readonly Phase[]): Promise<void> {
    await this.fastPath.writesSettled()
    const isLast = phases.includes('after rules')
    await this.driver.write([...(phases.includes('before rules') ? before : []), ...(isLast ? after : [])])
    if (isLast) remember()
  }

  /** Sets whose header is not what was last known: flushed, missing, made anew by somebody, or with a number of elements that we did not write. */
  async #suspects(): Promise<string[]> {
    const startMs = performance.now()
    const headers = new Map((await this.driver.headers()).map((header) => [header.name, header]))
    const suspects: string[] = []
    for (const [name, set] of this.known) {
      const header = headers.get(name)
      if (!header) {
        this.known.delete(name)
        suspects.push(name)
      } else if (settingsOf(header) !== settingsOf(set.header)) {
        this.known.set(name, { ...set, header })
        suspects.push(name)
      } else if (isManaged(set) && header.entries !== set.elements.size) {
        // Those that were written while we looked may be counted or not.
        const missing = set.elements.size - header.entries
        if (missing < 0 || missing > this.fastPath.writtenSince(name, startMs).length) suspects.push(name)
      }
    }
    return suspects
  }

  /** Names those that are not as they were left. */
  async #readAgain(sets: readonly string[], nowMs: number): Promise<string[]> {
    const present = sets.filter((name) => this.known.has(name))
    const startMs = performance.now()
    const elements = await this.driver.elements(present)
    const surprises = sets.filter((name) => !this.known.has(name))
    for (const name of present) {
      const set = this.known.get(name)
      const found = elements.get(name)
      if (!set) continue
      if (!found) {
        this.known.delete(name)
        surprises.push(name)
        continue
      }
      const fresh = this.#withFastPath(knownFrom(set.header, found, nowMs), startMs)
      if (isManaged(set) && !sameElements(set, fresh)) surprises.push(name)
      this.known.set(name, fresh)
    }
    return surprises
  }

  /** What the fast path wrote since the reading began: the reading may or may not have seen it. */
  #withFastPath(read: KnownSet, startMs: number): KnownSet {
    for (const [element, known] of this.fastPath.writtenSince(read.header.name, startMs)) {
      const counted = read.elements.get(element)
      read.elements.set(element, counted ? { ...counted, comment: known.comment } : known)
    }
    return read
  }
}

const settingsOf = ({ type, family, maxelem, hasTimeout, hasCounters, hasComment }: SetHeader): string =>
  [type, family, maxelem, hasTimeout, hasCounters, hasComment].join(' ')

/** Sets of flows empty themselves. */
const isManaged = (set: KnownSet): boolean => set.header.type !== 'hash:ip,port,ip'

function sameElements(a: KnownSet, b: KnownSet): boolean {
  if (a.elements.size !== b.elements.size) return false
  for (const [element, { comment }] of a.elements)
    if (b.elements.get(element)?.comment !== comment) return false
  return true
}
