import { parseEntry } from '../config/parse-entry.ts'
import type { AllowEntry } from '../config/model.ts'
import { ControlError } from '../control/error.ts'

interface Temporary {
  readonly entry: string
  readonly untilMs: number
  readonly parsed: readonly AllowEntry[]
}

/** Break glass: entries that are allowed for a while and end by themselves. */
export class TemporaryAllows {
  readonly #entries = new Map<string, Temporary>()

  /** @throws ControlError (2) when the text is no entry. */
  add(entry: string, untilMs: number): void {
    const read = parseEntry(entry, 'embargod allow')
    if ('reasons' in read) throw new ControlError(`${entry}: ${read.reasons.join('; ')}`, 2)
    const parsed = read.entries.map((one) => ({ ...one, untilMs: Math.min(untilMs, one.untilMs ?? untilMs) }))
    this.#entries.set(entry, { entry, untilMs, parsed })
  }

  /** @throws ControlError (2) when there is no such entry. */
  revoke(entry: string): void {
    if (!this.#entries.delete(entry)) {
      throw new ControlError(`${entry} is not allowed for a while: see embargod allow --list`, 2)
    }
  }

  /** Drops what has ended. */
  expire(nowMs: number): void {
    for (const [key, { untilMs }] of this.#entries) if (untilMs <= nowMs) this.#entries.delete(key)
  }

  list(): { entry: string; untilMs: number }[] {
    return [...this.#entries.values()].map(({ entry, untilMs }) => ({ entry, untilMs }))
  }

  entries(): AllowEntry[] {
    return [...this.#entries.values()].flatMap(({ parsed }) => parsed)
  }
}
