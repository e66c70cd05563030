import type { Trigger } from '../reconcile/loop.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import type { Flavour } from '../targets/iptables/diff.ts'
import { PARTS, type Part, type Scope } from '../targets/keeper.ts'

/** How often all rules are read, for their counters and for changes that no monitor reported. */
const RULES_MS = 15_000
/** Legacy iptables has no monitor. */
const LEGACY_RULES_MS = 4_500
/** Reading a set costs about 8 µs an element: read this rarely, it costs half a per cent of a core. */
const READ_MS_PER_ELEMENT = 1.6
const READ_AT_LEAST_MS = 15_000
const READ_AT_MOST_MS = 540_000
/** Elements read in one pass, beside the first set: more would hold up answers. */
const READ_AT_ONCE = 20_000

/** Triggers that make a pass read the rules. A change of what is desired does, too. */
const RULE_TRIGGERS: readonly Trigger[] = ['start', 'reload', 'until', 'retry']

/** Decides how much of the kernel a pass reads: to read all of it costs time, and most passes need little. */
export class ReadPlan {
  #rulesReadMs = 0
  #renewedMs: number
  readonly #setReadMs = new Map<string, number>()
  #suspects = new Set<Part>()

  /** @param nowMs of a monotonic clock, so that setting the host's clock back delays nothing */
  constructor(nowMs: number) {
    this.#renewedMs = nowMs
  }

  /** The kernel reported a change in this part; undefined: in any part. */
  suspect(part: Part | undefined): void {
    for (const one of part === undefined ? PARTS : [part]) this.#suspects.add(one)
  }

  /** Takes the suspected parts. When the pass fails, the next one reads all parts. */
  scope(
    triggers: ReadonlySet<Trigger>,
    flavour: Flavour | undefined,
    known: ReadonlyMap<string, KnownSet>,
    maxStaleMs: number,
    nowMs: number,
  ): Scope {
    const legacy = flavour === 'legacy'
    const timed = triggers.has('timer')
    const all =
      RULE_TRIGGERS.some((trigger) => triggers.has(trigger)) ||
      // With nft the monitor reports when the engine moves its jump.
      (legacy && triggers.has('docker')) ||
      nowMs - this.#rulesReadMs >= (legacy ? LEGACY_RULES_MS : RULES_MS)
    const everything = nowMs - this.#renewedMs >= maxStaleMs / 8
    const parts = all ? new Set(PARTS) : this.#suspects
    this.#suspects = new Set()
    return { parts, headers: timed, read: timed ? this.#due(known, nowMs) : [], everything }
  }

  /** The pass went well. */
  wasRead(scope: Scope, nowMs: number): void {
    if (scope.parts.size === PARTS.length) this.#rulesReadMs = nowMs
    if (scope.everything) this.#renewedMs = nowMs
    for (const set of scope.read) this.#setReadMs.set(set, nowMs)
  }

  /** Sets to be read whole now, for their counters and for elements of other programs. Large ones are read more rarely, the longest unread first. */
  #due(known: ReadonlyMap<string, KnownSet>, nowMs: number): string[] {
    const readMs = (name: string): number => this.#setReadMs.get(name) ?? 0
    const due = [...known]
      .filter(([name, { elements }]) => {
        const everyMs = Math.max(READ_AT_LEAST_MS, elements.size * READ_MS_PER_ELEMENT)
        return elements.size > 0 && nowMs - readMs(name) >= Math.min(READ_AT_MOST_MS, everyMs)
      })
      .toSorted(([a], [b]) => readMs(a) - readMs(b))
    let room = READ_AT_ONCE
    return due
      .filter(([, { elements }], index) => {
        if (index > 0 && elements.size > room) return false
        room -= elements.size
        return true
      })
      .map(([name]) => name)
  }
}
