import type { SomeFamilies } from '../iptables/driver.ts'

/** An engine that starts takes its chains away for a moment. */
const FOR_MS = 3_000
const TABLES = ['filter', 'nat'] as const

/**
 * Notices that the engine's own rules have gone, as after `nft flush ruleset`: it puts them back only when it starts. An engine that
 * never had any, by its own settings, lacks none.
 */
export class EngineRules {
  readonly #seen = new Set<string>()
  #goneSinceMs: number | undefined
  readonly #clock: () => number

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** True: they are gone, and not only for a moment. Undefined: nobody looked. */
  areGone({ 4: saved }: SomeFamilies): boolean | undefined {
    if (!saved) return undefined
    const present = TABLES.filter((table) => saved.tables.get(table)?.chains.has('DOCKER'))
    for (const table of present) this.#seen.add(table)
    if (present.length === this.#seen.size) {
      this.#goneSinceMs = undefined
      return false
    }
    this.#goneSinceMs ??= this.#clock()
    return this.#clock() - this.#goneSinceMs >= FOR_MS
  }
}
