import type { Address, Family } from '../net/types.ts'
import type { LiveAddress } from './model.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** One live address, with what decides whether it may have to make room. */
export interface PooledAddress extends Mutable<LiveAddress> {
  /** Epoch ms until which a container was told to use it. Until then it stays. */
  promisedUntilMs: number
  /** The container that was told of it first; undefined: a look-up of our own found it. */
  readonly asker: string | undefined
}

/** One asker may have as many times the places that are left, so that some are left for the next one. */
const SHARE = 3
const LOOKED_FOR_TOGETHER = 64

/** The places that one family of a name has for addresses. */
export class Room {
  size = 0
  readonly #live: ReadonlyMap<Address, PooledAddress>
  readonly #family: Family
  readonly #byAsker = new Map<string, number>()
  /**
   * Candidates to leave, the longest unseen first. Several are looked for at a time, since a walk to the first entry of a map passes over the gaps of all entries
   * that left it.
   */
  #leaving: readonly { readonly entry: PooledAddress; readonly seenAtMs: number }[] = []
  #next = 0

  /** @param live of both families, the longest unseen first */
  constructor(live: ReadonlyMap<Address, PooledAddress>, family: Family) {
    this.#live = live
    this.#family = family
  }

  entered({ asker }: PooledAddress): void {
    this.size++
    if (asker !== undefined) this.#byAsker.set(asker, (this.#byAsker.get(asker) ?? 0) + 1)
  }

  left({ asker }: PooledAddress): void {
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

  /** The next address that has to go: the longest unseen that no container was promised. Undefined: all have to stay. */
  nextToLeave(nowMs: number, mustStay: (entry: PooledAddress) => boolean): PooledAddress | undefined {
    const mayLeave = (entry: PooledAddress): boolean =>
      entry.family === this.#family && entry.promisedUntilMs <= nowMs && !mustStay(entry)
    while (this.#next < this.#leaving.length) {
      const next = this.#leaving[this.#next++]
      // An address that was seen again since then is no candidate any more.
      if (next && next.entry.seenAtMs === next.seenAtMs && this.#live.get(next.entry.address) === next.entry)
        if (mayLeave(next.entry)) return next.entry
    }
    const found: { entry: PooledAddress; seenAtMs: number }[] = []
    for (const entry of this.#live.values()) {
      if (found.length === LOOKED_FOR_TOGETHER) break
      if (mayLeave(entry)) found.push({ entry, seenAtMs: entry.seenAtMs })
    }
    this.#leaving = found
    this.#next = 1
    return found[0]?.entry
  }
}
