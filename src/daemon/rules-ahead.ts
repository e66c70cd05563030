import type { Ruleset } from '../dataplane/model.ts'
import type { SomeFamilies } from '../targets/iptables/driver.ts'
import { unseenBy } from '../targets/iptables/hook-places.ts'
import { FAMILIES, type Family } from '../net/types.ts'

/** The engine moves its jump within milliseconds, and our own goes ahead of others' rules with the next pass. */
const LASTING_MS = 10_000

/**
 * Rules that accept packets ahead of ours, and that stay there: of what they accept our rules see nothing, and the second guard drops it. Such as the
 * engine's own, where a restart has left its jump to DOCKER-USER below them.
 */
export class RulesAhead {
  readonly #sinceMs = new Map<string, number>()

  /** What stands ahead for longer than a moment, in words; undefined: nothing does. Families that were not read are as they were. */
  look(rules: Readonly<Record<Family, Ruleset>>, saved: SomeFamilies, nowMs: number): string | undefined {
    for (const family of FAMILIES) {
      const tables = saved[family]?.tables
      if (!tables) continue
      const found = new Set(
        rules[family].hooks.flatMap((hook) => {
          const table = tables.get(hook.table)
          const rule = table && unseenBy(hook, table)
          return rule ? [`IPv${family} ${hook.parents.at(-1)}: ${rule.text}`] : []
        }),
      )
      for (const known of this.#sinceMs.keys())
        if (known.startsWith(`IPv${family} `) && !found.has(known)) this.#sinceMs.delete(known)
      for (const one of found) if (!this.#sinceMs.has(one)) this.#sinceMs.set(one, nowMs)
    }
    const lasting = [...this.#sinceMs].filter(([, sinceMs]) => nowMs - sinceMs >= LASTING_MS)
    return lasting.length === 0
      ? undefined
      : `rules accept packets ahead of ours, so what is allowed is dropped by the second guard: ${lasting.map(([one]) => one).join('; ')}. ` +
          'Take them away, or restart the engine if they are its own'
  }
}
