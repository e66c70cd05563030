import * as z from 'zod'

/** Packets and bytes, or any pair that only grows. */
export interface Count {
  readonly packets: number
  readonly bytes: number
}

interface Entry {
  total: Count
  last: Count
}

const count = z.object({ packets: z.number().nonnegative(), bytes: z.number().nonnegative() })

export const totalsSnapshot = z.record(z.string(), z.object({ total: count, last: count }))
export type TotalsSnapshot = z.output<typeof totalsSnapshot>

const SPARE = 1000
/** Tidying begins at this many entries, and is repeated each time they have doubled. */
const TIDY_AT = 3000

const NOTHING: Count = { packets: 0, bytes: 0 }

/**
 * Counters that never decrease, made of kernel counters that do: a rewritten rule or a new set counts from zero. A reading below the last one is
 * taken for such a new start.
 */
export class Totals {
  #entries = new Map<string, Entry>()
  #tidyAt = TIDY_AT

  /** Takes a reading of the kernel's counter; returns what was added since the last reading. */
  read(key: string, now: Count): Count {
    const entry = this.#entries.get(key)
    const last = entry?.last ?? NOTHING
    const restarted = now.packets < last.packets
    const gained = restarted
      ? now
      : { packets: now.packets - last.packets, bytes: Math.max(0, now.bytes - last.bytes) }
    if (!entry) {
      this.#entries.set(key, { total: gained, last: now })
      return gained
    }
    entry.total = sum(entry.total, gained)
    entry.last = now
    return gained
  }

  /** Adds what was counted elsewhere. */
  add(key: string, gained: Count): void {
    this.#entries.set(key, { total: sum(this.of(key), gained), last: NOTHING })
  }

  of(key: string): Count {
    return this.#entries.get(key)?.total ?? NOTHING
  }

  *entries(): Iterable<readonly [string, Count]> {
    for (const [key, { total }] of this.#entries) yield [key, total]
  }

  /**
   * Forgets, now and then, entries that are not live any more: hosts make networks by the thousand, and few come back. The last `SPARE` of them
   * stay, since some are missing only for a while.
   */
  tidy(liveKeys: () => Iterable<string>): void {
    if (this.#entries.size < this.#tidyAt) return
    const keys = new Set(liveKeys())
    const live = [...this.#entries].filter(([key]) => keys.has(key))
    const gone = [...this.#entries].filter(([key]) => !keys.has(key))
    this.#entries = new Map([...gone.slice(-SPARE), ...live])
    this.#tidyAt = Math.max(TIDY_AT, 2 * this.#entries.size)
  }

  snapshot(): TotalsSnapshot {
    return Object.fromEntries(this.#entries)
  }

  restore(snapshot: TotalsSnapshot): void {
    for (const [key, entry] of Object.entries(snapshot)) this.#entries.set(key, entry)
  }
}

const sum = (a: Count, b: Count): Count => ({ packets: a.packets + b.packets, bytes: a.bytes + b.bytes })
