import type { SetSpec } from '../../dataplane/model.ts'
import type { Dirty, Membership } from '../../dataplane/membership.ts'
import { shortHash } from '../../dataplane/names.ts'
import type { SavedElement, SetHeader } from './parse.ts'
import { renderAdd, renderCreate, renderDelete, safeComment, type ElementWrite } from './render.ts'
import { hasOtherTimeout, secondsToKeep } from './time-left.ts'

/** What the kernel is known to hold, element by element. */
export interface KnownElement {
  readonly expiresAtMs: number
  readonly comment: string
  readonly packets: number
  readonly bytes: number
}

export interface KnownSet {
  readonly header: SetHeader
  readonly elements: Map<string, KnownElement>
}

/** What is taken away. */
export interface Leaving {
  /** Sets that are made anew, with what they are to hold by now. */
  readonly sets: ReadonlySet<string>
  /** By {@link placeOf}. */
  readonly elements: ReadonlySet<string>
}

export const placeOf = (set: string, element: string): string => `${set} ${element}`

/** Work on sets as data. `before` must be done ahead of the rules, `after` behind them: the kernel refuses anything else. */
export interface SetsDiff {
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly summary: readonly string[]
  /** Sets that have to be made anew or read again when writing fails. */
  readonly touched: ReadonlySet<string>
  readonly leaving: Leaving
  /** What to remember once it is done. */
  readonly remember: () => void
}

/** The temporary name of a set that takes another's place. Stays within 31 characters, and no two sets share one. */
const successor = (name: string): string => `${name.slice(0, 20)}-${shortHash(name, 6)}-new`

/**
 * The difference between what sets must hold and what they are known to hold.
 * `known` is changed by `remember` only: after a failed write nothing is believed.
 */
export function diffSets(
  specs: readonly SetSpec[],
  membership: Membership,
  known: Map<string, KnownSet>,
  dirty: Dirty,
  nowMs: number,
): SetsDiff {
  const before: string[] = []
  const after: string[] = []
  const summary: string[] = []
  const touched = new Set<string>()
  const memory: (() => void)[] = []
  const leaving = { sets: new Set<string>(), elements: new Set<string>() }
  /** Not to be destroyed twice: older kernels refuse it. */
  const gone = new Set<string>()
  for (const spec of specs) {
    const current = known.get(spec.name)
    const usable = current && fits(spec, current.header)
    const work = usable
      ? changeElements(spec, membership, current, dirty, nowMs)
      : createSet(spec, membership, current, nowMs)
    if (work.adds.length === 0 && work.deletes.length === 0 && usable) continue
    touched.add(spec.name)
    if (!usable) leaving.sets.add(spec.name)
    for (const element of work.deletes) leaving.elements.add(placeOf(spec.name, element))
    // What an earlier process left half done.
    if (!usable && known.has(successor(spec.name))) {
      before.push(`destroy ${successor(spec.name)}`)
      gone.add(successor(spec.name))
      memory.push(() => known.delete(successor(spec.name)))
    }
    // Where strangers take the room they go first: what is added would be refused for ever.
    const isFull = usable && !hasRoom(current, work.adds)
    for (const element of work.deletes) (isFull ? before : after).push(renderDelete(spec.name, element))
    // One by one: a set has more elements than a call takes arguments.
    if (!usable) for (const line of replaceLines(spec, current, work.adds)) before.push(line)
    else for (const write of work.adds) before.push(renderAdd(spec.name, write))
    if (current && !usable && swappable(spec, current)) {
      after.push(`destroy ${successor(spec.name)}`)
      gone.add(successor(spec.name))
    }
    summary.push(describe(spec, current, usable === true, work))
    memory.push(() => remember(known, spec, usable ? current : undefined, work, nowMs))
  }
  if (dirty.all) {
    const wanted = new Set(specs.map((spec) => spec.name))
    for (const name of known.keys()) {
      if (wanted.has(name) || gone.has(name)) continue
      after.push(`destroy ${name}`)
      touched.add(name)
      leaving.sets.add(name)
      summary.push(`destroy set ${name}`)
      memory.push(() => known.delete(name))
    }
  }
  return { before, after, summary, touched, leaving, remember: () => memory.forEach((step) => step()) }
}

/**
 * Undefined: the set must not hold it, or no longer.
 * @param timeoutSeconds the set's own
 */
export function elementOf(
  membership: Membership,
  set: string,
  element: string,
  timeoutSeconds: number,
  nowMs: number,
): ElementWrite | undefined {
  const comment = wantedComment(membership, set, element)
  const seconds = secondsToKeep(membership.endOf(set, element), timeoutSeconds, nowMs)
  return comment === undefined || seconds === undefined
    ? undefined
    : { element, timeoutSeconds: seconds, comment }
}

/** As the kernel will give it back. */
function wantedComment(membership: Membership, set: string, element: string): string | undefined {
  const comment = membership.commentOf(set, element)
  return comment === undefined ? undefined : safeComment(comment)
}

interface ElementWork {
  readonly adds: ElementWrite[]
  readonly deletes: string[]
}

/** For what is new: an element that stands is only renewed. */
function hasRoom({ elements, header }: KnownSet, adds: readonly ElementWrite[]): boolean {
  if (elements.size + adds.length <= header.maxelem) return true
  return elements.size + adds.filter(({ element }) => !elements.has(element)).length <= header.maxelem
}

function fits(spec: SetSpec, header: SetHeader): boolean {
  return (
    header.type === spec.type &&
    (header.family ?? spec.family) === spec.family &&
    header.hasTimeout &&
    header.hasCounters &&
    header.hasComment &&
    header.maxelem >= spec.maxelem
  )
}

function createSet(
  spec: SetSpec,
  membership: Membership,
  current: KnownSet | undefined,
  nowMs: number,
): ElementWork {
  const sameKind = current?.header.type === spec.type && current.header.hasCounters
  const adds: ElementWrite[] = []
  for (const element of membership.elementsOf(spec.name)) {
    const counters = sameKind ? current.elements.get(element) : undefined
    const write = elementOf(membership, spec.name, element, spec.timeout, nowMs)
    if (!write) continue
    adds.push(counters ? { ...write, packets: counters.packets, bytes: counters.bytes } : write)
  }
  if (sameKind && !isMembershipSet(spec)) adds.push(...carriedOver(current, nowMs))
  return { adds, deletes: [] }
}

/** Flows that the daemon put in by hand: nobody could make them anew. */
function carriedOver(current: KnownSet, nowMs: number): ElementWrite[] {
  return [...current.elements].map(([element, { expiresAtMs, comment }]) => ({
    element,
    timeoutSeconds: (expiresAtMs - nowMs) / 1000,
    comment,
  }))
}

/** Sets of flows are filled when a right is revoked and empty themselves. */
const isMembershipSet = (spec: SetSpec): boolean => spec.type !== 'hash:ip,port,ip'

function changeElements(
  spec: SetSpec,
  membership: Membership,
  current: KnownSet,
  dirty: Dirty,
  nowMs: number,
): ElementWork {
  const work: ElementWork = { adds: [], deletes: [] }
  if (!isMembershipSet(spec)) return work
  const check = (element: string): void => {
    const comment = wantedComment(membership, spec.name, element)
    if (comment === undefined) {
      // Present or not: of a write that failed nobody knows what landed.
      work.deletes.push(element)
      return
    }
    const present = current.elements.get(element)
    const endMs = membership.endOf(spec.name, element)
    if (present?.comment === comment && !hasOtherTimeout(present.expiresAtMs, endMs, spec.timeout, nowMs))
      return
    // One whose right has just ended runs out by itself, until the policy without it takes it out.
    const timeoutSeconds = secondsToKeep(endMs, spec.timeout, nowMs)
    if (timeoutSeconds !== undefined) work.adds.push({ element, timeoutSeconds, comment })
  }
  if (!dirty.all) {
    for (const element of dirty.elements.get(spec.name) ?? []) check(element)
    return work
  }
  for (const element of membership.elementsOf(spec.name)) check(element)
  for (const element of current.elements.keys())
    if (!membership.has(spec.name, element)) work.deletes.push(element)
  return work
}

/** A new set in place of one that cannot serve (too small, of another kind): filled beside it, then swapped under the rules. */
function replaceLines(spec: SetSpec, current: KnownSet | undefined, adds: readonly ElementWrite[]): string[] {
  if (!current) return [renderCreate(spec), ...adds.map((write) => renderAdd(spec.name, write))]
  const name = successor(spec.name)
  const fresh = [
    renderCreate({ ...spec, name }),
    `flush ${name}`,
    ...adds.map((write) => renderAdd(name, write)),
  ]
  if (swappable(spec, current)) return [...fresh, `swap ${name} ${spec.name}`]
  // The kernel swaps only like with like, and destroys only what no rule names: a stranger in use is reported by the failure.
  return [`destroy ${spec.name}`, ...fresh, `rename ${name} ${spec.name}`]
}

/** The kernel's condition for a swap. */
const swappable = (spec: SetSpec, current: KnownSet): boolean =>
  current.header.type === spec.type && (current.header.family ?? spec.family) === spec.family

function remember(
  known: Map<string, KnownSet>,
  spec: SetSpec,
  current: KnownSet | undefined,
  work: ElementWork,
  nowMs: number,
): void {
  const set = current ?? { header: headerOf(spec), elements: new Map<string, KnownElement>() }
  known.set(spec.name, set)
  for (const write of work.adds) {
    const before = set.elements.get(write.element)
    set.elements.set(write.element, {
      expiresAtMs: nowMs + write.timeoutSeconds * 1000,
      comment: write.comment,
      packets: write.packets ?? before?.packets ?? 0,
      bytes: write.bytes ?? before?.bytes ?? 0,
    })
  }
  for (const element of work.deletes) set.elements.delete(element)
}

const headerOf = (spec: SetSpec): SetHeader => ({
  name: spec.name,
  type: spec.type,
  family: spec.family,
  maxelem: spec.maxelem,
  hasTimeout: true,
  hasCounters: true,
  hasComment: true,
  references: 0,
  entries: 0,
})

function describe(spec: SetSpec, current: KnownSet | undefined, usable: boolean, work: ElementWork): string {
  const verb = usable ? 'change' : current ? 'replace' : 'create'
  const sample =
    work.adds.length + work.deletes.length > 0 && work.adds.length + work.deletes.length <= 4
      ? `: ${[...work.adds.map((write) => `+${write.element}`), ...work.deletes.map((element) => `-${element}`)].join(' ')}`
      : ''
  return `${verb} set ${spec.name} (${work.adds.length} added, ${work.deletes.length} removed)${sample}`
}

/** What was read from the kernel, to be believed until the next read. */
export function knownFrom(header: SetHeader, elements: readonly SavedElement[], nowMs: number): KnownSet {
  return {
    header,
    elements: new Map(
      elements.map(({ element, timeoutSeconds, packets, bytes, comment }) => [
        element,
        // 0 stands for ever, which we never write: as good as expired, so that it is written again.
        { expiresAtMs: nowMs + timeoutSeconds * 1000, comment, packets, bytes },
      ]),
    ),
  }
}
