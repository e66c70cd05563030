import type { Address } from '../net/types.ts'

/** As long as the first packets of a container are: until the engine has told of it takes some 100 ms. */
const WAIT_MS = 1_000
/** Whoever is unknown that long after its first question is no container that starts: a build, as a rule. Later the address may be another's. */
const REMEMBERED_MS = 60_000
const MOST_SOURCES = 4_096

/**
 * Sources that no known container holds. A container that has just started is one, for a moment: to tell it that a name does not exist would be wrong, and programs believe
 * that. So what is denied to such a source is looked at again within its first second.
 */
export class Newcomers {
  /** Monotonic ms of the first denied question, the oldest first. */
  readonly #sinceMs = new Map<Address, number>()

  /** May a container stand behind it that is known in a moment? */
  isNew(source: Address, nowMs: number): boolean {
    const sinceMs = this.#sinceMs.get(source)
    if (sinceMs !== undefined && nowMs - sinceMs < REMEMBERED_MS) return nowMs - sinceMs < WAIT_MS
    this.#sinceMs.delete(source)
    this.#sinceMs.set(source, nowMs)
    for (const oldest of this.#sinceMs.keys()) {
      if (this.#sinceMs.size <= MOST_SOURCES) break
      this.#sinceMs.delete(oldest)
    }
    return true
  }
}
