import type { MarkLayout } from '../config/marks.ts'
import type { Membership } from '../dataplane/membership.ts'
import type { Backstop, Dataplane, DesiredBindings, DesiredGroups } from '../dataplane/model.ts'
import { FAMILIES, type Family } from '../net/types.ts'

/** What can be read on its own: the rules of one family, the backstop, the bindings, or the table of the host's network. */
export type Part = Family | 'backstop' | 'bindings' | 'host-network'
export const PARTS: readonly Part[] = [...FAMILIES, 'backstop', 'bindings', 'host-network']

/** How much of the kernel a pass reads. It reads nothing when only answers came, since the contents of the sets are known. */
export interface Scope {
  readonly parts: ReadonlySet<Part>
  /** Compare the headers of all sets with what is known of them. */
  readonly headers: boolean
  /** Sets to be read whole, element by element. */
  readonly read: readonly string[]
  /** Compare every element, to renew those that are half-way to their time-out. */
  readonly everything: boolean
}

/** What the kernel has to hold. Each keeper takes its own part of it. */
export interface DesiredState {
  /** Sets and rules. */
  readonly dataplane: Dataplane
  /** The elements of the sets. */
  readonly membership: Membership
  readonly backstop: Backstop
  /** Generations that live connections may still bear while the generation changes; empty when it does not. */
  readonly former: NonNullable<Backstop['former']>
  readonly bindings: DesiredBindings
  readonly hostGroups: DesiredGroups
  /** Bridges that learn addresses from frames that they do not forward, and must not. */
  readonly learning: readonly string[]
  readonly marks: MarkLayout
}

/** What was repaired, for logs and metrics. */
export type DriftKind = 'rules' | 'jump' | 'set' | 'backstop' | 'bindings' | 'host-network'

/** What a keeper would write, as data. */
export interface TargetChange {
  /** One line a change, for `plan` and the log. */
  readonly summary: readonly string[]
  /** What of it somebody else must have changed, provided that the same was desired before. */
  readonly drift: readonly DriftKind[]
}

/** When something is written. The kernel refuses rules that name a set that does not exist, and refuses to destroy a set that a rule names. */
export type Phase = 'before rules' | 'rules' | 'after rules'

/** Keeps one target in the kernel as it is desired. A pass calls the three in this order. */
export interface Keeper<Change extends TargetChange = TargetChange> {
  /** Reads what the scope asks for. Rejects when the kernel cannot be read: what is unknown is never taken for absent. */
  look(desired: DesiredState, scope: Scope, nowMs: number): Promise<void>
  /**
   * Compares what was read with what is desired. It does not wait for anything, so all keepers plan for the same moment.
   * Undefined: there is nothing to write.
   */
  plan(desired: DesiredState, nowMs: number): Change | undefined
  /** Writes what belongs into these phases. They are more than one where nothing has to be written between them. */
  apply(change: Change, phases: readonly Phase[]): Promise<void>
  /** A write failed, perhaps half-way: the next pass reads the target again. Absent where each pass finds out by itself. */
  forget?(): void
}
