import type { Address, Family } from '../net/types.ts'
import type { LiveAddress } from './model.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** One live address, with what decides whether it may have to make room. */
export interface Kept extends Mutable<LiveAddress> {
  /** Epoch ms until which a container was told to use it: so long it stays. */
  promisedUntilMs: number
  /** Who was told of it first; undefined: a look-up of our own found it. */
  readonly asker: string | undefined
}

/** Of what is left, so many times as much may be one asker's: some is left for whoever comes next. */
const SHARE = 3
const LOOKED_FOR_TOGETHER = 64

/** The places that one family of a name has for addresses. */
export class Room {
  size = 0
  readonly #held: ReadonlyMap<Address, Kept>
  readonly #family: Family
  readonly #byAsker = new Map<string, number>()
  /** Who may have to go, the longest unseen first. Some at a time: to find the first of a map is to pass over the places of all that left it. */
  #leaving: readonly { readonly kept: Kept; readonly seenAtMs: number }[] = []
  #next = 0

  /** @param held of both families, the longest unseen first */
  constructor(held: ReadonlyMap<Address, Kept>, family: Family) {
    this.#held = held
    this.#family = family
  }

  entered({ asker }: Kept): void {
    this.size++
    if (asker !== undefined) this.#byAsker.set(asker, (this.#byAsker.get(asker) ?? 0) + 1)
  }

  left({ asker }: Kept): void {
    this.size--
    const count = asker === undefined ? 0 : (this.#byAsker.get(asker) ?? 0) - 1
    if (asker === undefined) return
    if (count > 0) this.#byAsker.set(asker, count)
    else this.#byAsker.delete(asker)
  }

  /** Has this asker more than its share of `most` places? */
  isSpent(asker: string, most: number): boolean {
    return (this.#byAsker.get(asker) ?? 0) >= SHARE * Math.max(0, most - this.size)
  }

  /** Who has to go next: the longest unseen that nobody was promised. Undefined: all have to stay. */
  nextToLeave(nowMs: number, mustStay: (kept: Kept) => boolean): Kept | undefined {
    const mayLeave = (kept: Kept): boolean =>
      kept.family === this.#family && kept.promisedUntilMs <= nowMs && !mustStay(kept)
    while (this.#next < this.#leaving.length) {
      const next = this.#leaving[this.#next++]
      // One that was seen again since it was found is none any more.
      if (next && next.kept.seenAtMs === next.seenAtMs && this.#held.get(next.kept.address) === next.kept)
        if (mayLeave(next.kept)) return next.kept
    }
    const found: { kept: Kept; seenAtMs: number }[] = []
    for (const kept of this.#held.values()) {
      if (found.length === LOOKED_FOR_TOGETHER) break
      if (mayLeave(kept)) found.push({ kept, seenAtMs: kept.seenAtMs })
    }
    this.#leaving = found
    this.#next = 1
    return found[0]?.kept
  }
}
