import type { Address, Family } from '../net/types.ts'
import type { Lookup } from './model.ts'

export const otherFamily = (family: Family): Family => (family === 4 ? 6 : 4)

type FamilyOutcome = 'addresses' | 'empty' | 'failed'

/** What the look-ups of one family of a name brought. */
export class FamilyRecord {
  readonly family: Family
  /** It brought an address at some time, perhaps in an earlier process, and has not been withdrawn since. */
  everAnswered = false
  /** Of the last look-up; undefined: there was none. */
  outcome: FamilyOutcome | undefined
  /** The last look-up found no address of this family while the name had some of the other: a later answer of the other one confirms it. */
  seemsWithdrawn = false
  lastSuccessMs: number | undefined
  /** Why the last look-up brought nothing. */
  error: string | undefined
  /** What was refused of the last answer that had addresses. */
  refused: readonly Address[] = []
  /** How many addresses had no room when the last answer came. */
  overCap = 0

  constructor(family: Family) {
    this.family = family
  }

  get asked(): boolean {
    return this.outcome !== undefined
  }

  /** Takes note of a look-up of this family. */
  note(lookup: Lookup, nowMs: number, other: FamilyRecord): void {
    this.outcome = outcomeOf(lookup)
    this.seemsWithdrawn = this.outcome === 'empty' && other.outcome === 'addresses'
    if (this.outcome === 'addresses') {
      this.everAnswered = true
      this.lastSuccessMs = nowMs
      this.error = undefined
      return
    }
    // Where a name has no address at all any more its zone may be broken, so neither family counts as withdrawn.
    other.seemsWithdrawn &&= this.outcome !== 'empty'
    const type = this.family === 4 ? 'A' : 'AAAA'
    this.error = `${type}: ${'detail' in lookup ? lookup.detail : 'the answer has no address'}`
  }

  /** Are the addresses of this family those of an older answer, since the last look-up failed? No address beside addresses of the other family is an answer, too. */
  isStaleBeside(other: FamilyRecord): boolean {
    if (!this.everAnswered || this.outcome === 'addresses') return false
    return this.outcome !== 'empty' || other.outcome !== 'addresses'
  }
}

function outcomeOf(lookup: Lookup): FamilyOutcome {
  if (lookup.kind === 'empty') return 'empty'
  if (lookup.kind !== 'addresses') return 'failed'
  return lookup.records.length > 0 ? 'addresses' : 'empty'
}
