import { parseEntry } from '../config/parse-entry.ts'
import type { AllowEntry } from '../config/model.ts'
import { ControlError } from '../control/error.ts'

interface Temporary {
  readonly entry: string
  readonly untilMs: number
  /** The same moment on the monotonic clock, which cannot be set. */
  readonly endsAtMs: number
  readonly parsed: readonly AllowEntry[]
}

interface Clocks {
  readonly epochMs: () => number
  readonly monotonicMs: () => number
}

const CLOCK_STEP_MS = 2_000

const HOST_CLOCKS: Clocks = { epochMs: () => Date.now(), monotonicMs: () => performance.now() }

/** Entries that are allowed for a while (break glass). They end by themselves, even when the host's clock is set back meanwhile. */
export class TemporaryAllows {
  readonly #entries = new Map<string, Temporary>()

  constructor(private readonly clocks = HOST_CLOCKS) {}

  /**
   * @param gateway is there a DNS gateway? Wildcards need one.
   * @throws ControlError (2) when the text is no entry.
   */
  add(entry: string, untilMs: number, gateway: boolean): void {
    const read = parseEntry(entry, 'embargod allow', gateway)
    if ('reasons' in read) throw new ControlError(`${entry}: ${read.reasons.join('; ')}`, 2)
    const parsed = read.entries.map((one) => ({ ...one, untilMs: Math.min(untilMs, one.untilMs ?? untilMs) }))
    const endsAtMs = this.clocks.monotonicMs() + untilMs - this.clocks.epochMs()
    this.#entries.set(entry, { entry, untilMs, endsAtMs, parsed })
  }

  /** @throws ControlError (2) when there is no such entry. */
  revoke(entry: string): void {
    if (!this.#entries.delete(entry)) {
      throw new ControlError(`${entry} is not allowed for a while: see embargod allow --list`, 2)
    }
  }

  /** Removes the entries that have ended. */
  expire(): void {
    for (const [key, one] of this.#entries) if (this.#leftMs(one) <= 0) this.#entries.delete(key)
  }

  /** The time until the next entry ends; Infinity: there is no entry. */
  get nextEndInMs(): number {
    return Math.min(...Array.from(this.#entries.values(), (one) => this.#leftMs(one)))
  }

  #leftMs({ untilMs, endsAtMs }: Temporary): number {
    return Math.min(untilMs - this.clocks.epochMs(), endsAtMs - this.clocks.monotonicMs())
  }

  list(): { entry: string; untilMs: number }[] {
    return [...this.#entries.values()].map(({ entry, untilMs }) => ({ entry, untilMs }))
  }

  /** What this entry allows; nothing where there is no such entry. */
  parsedOf(entry: string): readonly AllowEntry[] {
    return this.#entries.get(entry)?.parsed ?? []
  }

  /** What all entries allow, with their ends by the host's clock as it is now. */
  entries(): AllowEntry[] {
    return [...this.#entries.values()].flatMap((one) => {
      const endMs = Math.floor(this.clocks.epochMs() + this.#leftMs(one))
      // The two clocks always differ by a little. That is not taken for another end.
      if (endMs > one.untilMs - CLOCK_STEP_MS) return one.parsed
      return one.parsed.map((entry) => ({ ...entry, untilMs: Math.min(endMs, entry.untilMs ?? endMs) }))
    })
  }
}
