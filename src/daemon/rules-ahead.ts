import type { Ruleset } from '../dataplane/model.ts'
import type { SomeFamilies } from '../targets/iptables/driver.ts'
import { unseenBy } from '../targets/iptables/hook-places.ts'
import { FAMILIES, type Family } from '../net/types.ts'

/** For shorter than this, rules are ahead of ours by the engine's moving its jump, which the next pass answers. */
const LASTING_MS = 10_000

/**
 * Finds rules that accept packets ahead of ours for a while. Our rules never see those packets, so the backstop drops them. An example are rules of the
 * engine whose jump to DOCKER-USER ended up below them after a restart.
 */
export class RulesAhead {
  readonly #sinceMs = new Map<string, number>()

  /** A sentence about the rules that are ahead for longer than a moment; undefined: there are none. Families that were not read count as before. */
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
