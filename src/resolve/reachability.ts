import type { Lookup } from './model.ts'

/** A server may restart, a name may be dead: only silence to everything, and for a while, says that nobody answers. */
const SILENT_MS = 30_000
const SILENT_LOOKUPS = 4
/** The kernel says so itself when a rule of this host drops what is sent. */
const FORBIDDEN = /\bEPERM\b/
const FORBIDDEN_LOOKUPS = 2

/** Whether any name server answers at all, judged over the look-ups of all names. */
export class Reachability {
  #unanswered = 0
  #forbidden = 0
  #silentSinceMs: number | undefined

  /** What is wrong after this look-up, in one sentence; undefined: nothing, or nothing yet. */
  note(lookup: Lookup, nowMs: number): string | undefined {
    if (lookup.kind !== 'timeout' && lookup.kind !== 'error') {
      this.#unanswered = 0
      this.#forbidden = 0
      this.#silentSinceMs = undefined
      return undefined
    }
    this.#silentSinceMs ??= nowMs
    this.#unanswered += 1
    if (FORBIDDEN.test(lookup.detail)) this.#forbidden += 1
    if (this.#forbidden >= FORBIDDEN_LOOKUPS)
      return "this host's own firewall forbids embargod's look-ups (EPERM): allow outgoing DNS, with ufw for example `ufw allow out 53`"
    if (this.#unanswered < SILENT_LOOKUPS || nowMs - this.#silentSinceMs < SILENT_MS) return undefined
    return 'no name server answers: what was known stays in force; does a firewall forbid outgoing DNS of this host?'
  }
}
