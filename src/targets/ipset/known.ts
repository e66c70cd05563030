import type { SetSpec } from '../../dataplane/model.ts'
import type { ElementWork } from './elements.ts'
import type { SavedElement, SetHeader } from './parse.ts'

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

/** What was read from the kernel, believed until the next reading. */
export function knownFrom(header: SetHeader, elements: readonly SavedElement[], nowMs: number): KnownSet {
  return {
    header,
    elements: new Map(
      elements.map(({ element, timeoutSeconds, packets, bytes, comment }) => [
        element,
        // 0 means no time-out, which we never write. The element counts as expired, so that it is written again.
        { expiresAtMs: nowMs + timeoutSeconds * 1000, comment, packets, bytes },
      ]),
    ),
  }
}

/** Notes what was written. */
export function remember(
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
