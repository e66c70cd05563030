import type { Hook, Ruleset, Table } from '../dataplane/model.ts'
import { acceptsAhead, isOurs, parentOf } from '../targets/iptables/hook-places.ts'
import type { SomeFamilies } from '../targets/iptables/driver.ts'
import type { Saved, SavedTable } from '../targets/iptables/parse.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import { rulesChange, type RulesChange } from '../targets/iptables/keeper.ts'

/** A jump is put first again at once this many times within {@link WITHIN_MS}; from then on every {@link EVERY_MS}. */
const AT_ONCE = 10
const WITHIN_MS = 60_000
const EVERY_MS = 3_000

/** A jump of ours that is no longer in the first place. */
export interface Displaced {
  readonly family: Family
  readonly table: Table
  readonly chain: string
  /** The rule that is first now; undefined: there is none. */
  readonly above: string | undefined
}

/** Another program insists on the first place, and what is done about it. */
export interface Fight {
  /** A sentence for the operator. */
  readonly words: string
  /** For how long our jump is left where it is; undefined: it was put first now. */
  readonly waitMs: number | undefined
  readonly families: readonly Family[]
}

/**
 * Another program puts a rule above our jump whenever we have put it first. The backstop drops what our rules do not see, so we need not answer each
 * time, which would go on for ever. After a few times the jump is put first only every few seconds, and the rule above it is reported. Without a
 * backstop in force the jump is put first each time.
 */
export class Fights {
  /** When each jump was put first again, by who stood in its place. */
  readonly #repairs = new Map<string, { readonly displaced: Displaced; readonly atMs: readonly number[] }>()
  readonly #clock: () => number

  /** The clock must be monotonic: the clock of the host is set by people. */
  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
  }

  /** Leaves out of a change what would only put a jump first again too soon. */
  judge(
    change: RulesChange | undefined,
    seen: SomeFamilies,
    rules: Readonly<Record<Family, Ruleset>>,
    backstopStands: boolean,
  ): { change: RulesChange | undefined; fight: Fight | undefined } {
    const nowMs = this.#clock()
    const found = displacedJumps(rules, seen).map((displaced) => {
      const atMs = this.#recent(keyOf(displaced), nowMs)
      const waitMs = !backstopStands || atMs.length < AT_ONCE ? 0 : (atMs.at(-1) ?? 0) + EVERY_MS - nowMs
      return { displaced, place: placeOf(displaced), atMs, waitMs }
    })
    // A table is written whole, so a jump that is due takes the others of its table along.
    const waits = new Map(found.map(({ place, waitMs }) => [place, waitMs]))
    for (const { place, waitMs } of found) if (waitMs <= 0 || !isOnlyAJump(change, place)) waits.delete(place)
    for (const { displaced, place, atMs } of found)
      if (!waits.has(place)) this.#repairs.set(keyOf(displaced), { displaced, atMs: [...atMs, nowMs] })
    const lasting = [...this.#repairs.keys()].flatMap((key) => {
      if (this.#recent(key, nowMs).length < AT_ONCE) return []
      const found = this.#repairs.get(key)
      return found ? [found.displaced] : []
    })
    const fight = lasting.length === 0 ? undefined : fightOf(lasting, waits, backstopStands)
    return { change: waits.size === 0 ? change : without(change, new Set(waits.keys())), fight }
  }

  #recent(key: string, nowMs: number): readonly number[] {
    const known = this.#repairs.get(key)
    const atMs = known?.atMs.filter((one) => nowMs - one < WITHIN_MS) ?? []
    if (known && atMs.length === 0) this.#repairs.delete(key)
    return atMs
  }
}

/** Jumps that are missing or not first. What the engine does with its own chains does not count. */
export function displacedJumps(
  rules: Readonly<Record<Family, Ruleset>>,
  saved: SomeFamilies,
): readonly Displaced[] {
  return FAMILIES.flatMap((family) => {
    const found = saved[family]
    return found ? rules[family].hooks.flatMap((hook) => displacedOf(hook, found, family)) : []
  })
}

function displacedOf(hook: Hook, { tables }: Saved, family: Family): Displaced[] {
  const table = tables.get(hook.table)
  if (!table) return []
  const root = hook.parents.at(-1) ?? ''
  const ahead = acceptsAhead(hook, table)
  const first =
    table.chains.get(root)?.rules.findIndex(({ target }) => target !== undefined && isOurs(target)) ?? -1
  if (ahead && (first < 0 || first > ahead.index))
    return [{ family, table: hook.table, chain: root, above: ahead.rule.text }]
  // Where the engine moves its own jump, ours is first in a chain that is not reached for the moment.
  if (hook.parents.some((parent) => isFirst(hook, table, parent))) return []
  const chain = parentOf(hook, table)
  const above = table.chains.get(chain)?.rules[0]
  return above?.target?.startsWith('DOCKER') ? [] : [{ family, table: hook.table, chain, above: above?.text }]
}

function isFirst({ rule }: Hook, table: SavedTable, parent: string): boolean {
  const target = table.chains.get(parent)?.rules[0]?.target
  return target !== undefined && rule.target?.kind === 'jump' && rule.target.chain === target
}

const keyOf = (displaced: Displaced): string => Object.values(displaced).join(' ')

const placeOf = ({ family, table }: { family: Family; table: Table }): string => `IPv${family} ${table}`

const isOnlyAJump = (change: RulesChange | undefined, place: string): boolean =>
  (change?.tables ?? []).every(
    (one) => placeOf(one) !== place || one.summary.every((line) => line.includes('jump')),
  )

const without = (change: RulesChange | undefined, places: ReadonlySet<string>): RulesChange | undefined =>
  change &&
  rulesChange(
    change.tables.filter((one) => !places.has(placeOf(one))),
    change.leftovers,
  )

function fightOf(
  displaced: readonly Displaced[],
  waits: ReadonlyMap<string, number>,
  backstopStands: boolean,
): Fight {
  const all = displaced.map(({ chain, family, above }) =>
    above === undefined
      ? `takes our jump out of ${chain} (IPv${family})`
      : `puts its rule above our jump in ${chain} (IPv${family}): ${above}`,
  )
  const answer = backstopStands
    ? `Our jump goes first every ${EVERY_MS / 1000} s; meanwhile the backstop drops what our rules do not see`
    : 'There is no backstop to close the host meanwhile, so our jump goes first each time'
  return {
    words: `another program, again and again, ${[...new Set(all)].join('; ')}. ${answer}: take the other rule away`,
    waitMs: waits.size === 0 ? undefined : Math.max(...waits.values()),
    families: FAMILIES.filter((family) =>
      [...waits.keys()].some((place) => place.startsWith(`IPv${family} `)),
    ),
  }
}
