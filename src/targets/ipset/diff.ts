import type { SetSpec } from '../../dataplane/model.ts'
import type { Dirty, Membership } from '../../dataplane/membership.ts'
import { shortHash } from '../../dataplane/names.ts'
import { changeElements, createSet, type ElementWork } from './elements.ts'
import { remember, type KnownSet } from './known.ts'
import type { SetHeader } from './parse.ts'
import { renderAdd, renderCreate, renderDelete, type ElementWrite } from './render.ts'

/** What a pass removes. */
export interface Removal {
  /** Sets that are destroyed or made anew. */
  readonly sets: ReadonlySet<string>
  /** By {@link placeOf}. */
  readonly elements: ReadonlySet<string>
}

export const placeOf = (set: string, element: string): string => `${set} ${element}`

/** What has to be written, as lines for `ipset`. `before` must be written before the rules, `after` after them: the kernel refuses anything else. */
export interface SetsDiff {
  readonly before: readonly string[]
  readonly after: readonly string[]
  readonly summary: readonly string[]
  /** Sets that have to be made anew or read again when writing fails. */
  readonly touched: ReadonlySet<string>
  readonly removal: Removal
  /** To be called once all of it is written: notes it as known. */
  readonly remember: () => void
}

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
  const removal = { sets: new Set<string>(), elements: new Set<string>() }
  /** Not to be destroyed twice: older kernels refuse it. */
  const gone = new Set<string>()
  for (const spec of specs) {
    const current = known.get(spec.name)
    const usable = current && isUsable(spec, current.header)
    const work = usable
      ? changeElements(spec, membership, current, dirty, nowMs)
      : createSet(spec, membership, current, nowMs)
    if (work.adds.length === 0 && work.deletes.length === 0 && usable) continue
    touched.add(spec.name)
    if (!usable) removal.sets.add(spec.name)
    for (const element of work.deletes) removal.elements.add(placeOf(spec.name, element))
    // What an earlier process left half done.
    if (!usable && known.has(successor(spec.name))) {
      before.push(`destroy ${successor(spec.name)}`)
      gone.add(successor(spec.name))
      memory.push(() => known.delete(successor(spec.name)))
    }
    // In a full set deletions come first, or the additions would be refused for ever.
    const isFull = usable && !hasRoom(current, work.adds)
    for (const element of work.deletes) (isFull ? before : after).push(renderDelete(spec.name, element))
    // One by one: a set has more elements than a call takes arguments.
    if (!usable) for (const line of replaceLines(spec, current, work.adds)) before.push(line)
    else for (const write of work.adds) before.push(renderAdd(spec.name, write))
    if (current && !usable && isSwappable(spec, current)) {
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
      removal.sets.add(name)
      summary.push(`destroy set ${name}`)
      memory.push(() => known.delete(name))
    }
  }
  return { before, after, summary, touched, removal, remember: () => memory.forEach((step) => step()) }
}

/** Room for new elements: one that exists is only renewed. */
function hasRoom({ elements, header }: KnownSet, adds: readonly ElementWrite[]): boolean {
  if (elements.size + adds.length <= header.maxelem) return true
  return elements.size + adds.filter(({ element }) => !elements.has(element)).length <= header.maxelem
}

function isUsable(spec: SetSpec, header: SetHeader): boolean {
  return (
    header.type === spec.type &&
    (header.family ?? spec.family) === spec.family &&
    header.hasTimeout &&
    header.hasCounters &&
    header.hasComment &&
    header.maxelem >= spec.maxelem
  )
}

/** The temporary name of a set that takes another's place. Stays within 31 characters, and no two sets share one. */
const successor = (name: string): string => `${name.slice(0, 20)}-${shortHash(name, 6)}-new`

/** A set that cannot be used (too small, of another type) is replaced: the new one is filled beside it and then swapped under the rules. */
function replaceLines(spec: SetSpec, current: KnownSet | undefined, adds: readonly ElementWrite[]): string[] {
  if (!current) return [renderCreate(spec), ...adds.map((write) => renderAdd(spec.name, write))]
  const name = successor(spec.name)
  const fresh = [
    renderCreate({ ...spec, name }),
    `flush ${name}`,
    ...adds.map((write) => renderAdd(name, write)),
  ]
  if (isSwappable(spec, current)) return [...fresh, `swap ${name} ${spec.name}`]
  // The kernel swaps only sets of the same type, and destroys only sets that no rule names. A set of another type in use makes the write fail, which is reported.
  return [`destroy ${spec.name}`, ...fresh, `rename ${name} ${spec.name}`]
}

/** The kernel's condition for a swap. */
const isSwappable = (spec: SetSpec, current: KnownSet): boolean =>
  current.header.type === spec.type && (current.header.family ?? spec.family) === spec.family

function describe(spec: SetSpec, current: KnownSet | undefined, usable: boolean, work: ElementWork): string {
  const verb = usable ? 'change' : current ? 'replace' : 'create'
  const sample =
    work.adds.length + work.deletes.length > 0 && work.adds.length + work.deletes.length <= 4
      ? `: ${[...work.adds.map((write) => `+${write.element}`), ...work.deletes.map((element) => `-${element}`)].join(' ')}`
      : ''
  return `${verb} set ${spec.name} (${work.adds.length} added, ${work.deletes.length} removed)${sample}`
}
