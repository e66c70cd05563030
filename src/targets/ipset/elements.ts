import type { SetSpec } from '../../dataplane/model.ts'
import type { Dirty, Membership } from '../../dataplane/membership.ts'
import type { KnownSet } from './known.ts'
import { safeComment, type ElementWrite } from './render.ts'
import { hasOtherTimeout, secondsToKeep } from './time-left.ts'

/** What has to be written into one set. */
export interface ElementWork {
  readonly adds: ElementWrite[]
  readonly deletes: string[]
}

/** All elements of a set that is made anew. What the same element has counted so far goes along. */
export function createSet(
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

/** Flows of a set that is made anew: they were judged once and cannot be computed again. */
function carriedOver(current: KnownSet, nowMs: number): ElementWrite[] {
  return [...current.elements].map(([element, { expiresAtMs, comment }]) => ({
    element,
    timeoutSeconds: (expiresAtMs - nowMs) / 1000,
    comment,
  }))
}

/** Sets of flows are filled when a right is revoked and empty themselves. */
const isMembershipSet = (spec: SetSpec): boolean => spec.type !== 'hash:ip,port,ip'

/** What has to be written into a set that stays. */
export function changeElements(
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
      // Known or not: after a write that failed it is not known which elements are in the kernel.
      work.deletes.push(element)
      return
    }
    const present = current.elements.get(element)
    const endMs = membership.endOf(spec.name, element)
    if (present?.comment === comment && !hasOtherTimeout(present.expiresAtMs, endMs, spec.timeout, nowMs))
      return
    // An element whose right has just ended expires by itself, unless the policy without that right deletes it first.
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
