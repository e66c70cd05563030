import type { Lookup, NameState } from './model.ts'

/** A server may restart, and a name may be dead. Only silence to all look-ups for a while means that no server answers. */
const SILENT_MS = 30_000
const SILENT_LOOKUPS = 4
/** The kernel's error when a rule of this host drops what is sent. */
const FORBIDDEN = /\bEPERM\b/
const FORBIDDEN_LOOKUPS = 2

/** REFUSED concerns all questions of this host, so it takes fewer look-ups; any other failure may be the name's, or pass by itself. */
const REFUSED_LOOKUPS = 2
const FAILED_LOOKUPS = 4

/** Whether any name server answers at all, judged over the look-ups of all names. */
export class Reachability {
  #unanswered = 0
  #forbidden = 0
  #silentSinceMs: number | undefined
  /** Look-ups in a row in which a server said that it does not answer. */
  #refusals: { readonly kind: 'refused' | 'servfail' | 'malformed'; readonly count: number } | undefined

  /** What is wrong after this look-up, in one sentence; undefined: nothing, or nothing yet. */
  note(lookup: Lookup, nowMs: number): string | undefined {
    this.#noteRefusal(lookup)
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

  /** What is wrong where servers answer and no name at all resolves. Undefined: some name does, or it is not the servers' fault. */
  noneResolves({ fresh, stale, failing }: Readonly<Record<NameState, number>>): string | undefined {
    const names = stale + failing
    const refusals = this.#refusals
    if (fresh > 0 || names === 0 || !refusals) return undefined
    if (refusals.count < (refusals.kind === 'refused' ? REFUSED_LOOKUPS : FAILED_LOOKUPS)) return undefined
    const which =
      names === 1 ? 'the one name that is configured does not resolve' : `none of the ${names} names resolves`
    return `${which}: ${REFUSALS[refusals.kind]}, or name other servers in resolver.servers; addresses that were known stay in force`
  }

  #noteRefusal({ kind }: Lookup): void {
    if (kind === 'refused' || kind === 'servfail' || kind === 'malformed')
      this.#refusals = { kind, count: (this.#refusals?.count ?? 0) + 1 }
    // Silence in between takes nothing back.
    else if (kind !== 'timeout' && kind !== 'error') this.#refusals = undefined
  }
}

const REFUSALS = {
  refused: 'the name server refuses to answer this host (REFUSED): have it answer',
  servfail: 'the name server fails (SERVFAIL): see that it can reach those that it asks itself',
  malformed: 'what comes from the name server answers no question: see what answers there',
} as const
