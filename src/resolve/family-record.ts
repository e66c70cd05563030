import type { Address, Family } from '../net/types.ts'
import type { Lookup } from './model.ts'

/** How one family of a name fared. */
export class FamilyRecord {
  readonly family: Family
  /** It brought an address at some time, perhaps in an earlier process. */
  everAnswered = false
  /** The last outcome was an answer with addresses. */
  succeeded = false
  asked = false
  lastSuccessMs: number | undefined
  /** Why the last look-up brought nothing. */
  error: string | undefined
  /** What was refused of the last answer that had addresses. */
  refused: readonly Address[] = []

  constructor(family: Family) {
    this.family = family
  }

  /** Did the last look-up fail a family that is known to have addresses? */
  get stale(): boolean {
    return this.everAnswered && !this.succeeded
  }

  book(lookup: Lookup, nowMs: number): void {
    this.asked = true
    this.succeeded = lookup.kind === 'addresses' && lookup.records.length > 0
    if (this.succeeded) {
      this.everAnswered = true
      this.lastSuccessMs = nowMs
      this.error = undefined
    } else {
      const type = this.family === 4 ? 'A' : 'AAAA'
      this.error = `${type}: ${'detail' in lookup ? lookup.detail : 'the answer has no address'}`
    }
  }
}
