import type { Hook, Rule, Ruleset, Table } from '../../dataplane/model.ts'
import type { Family } from '../../net/types.ts'
import { hookPlaces, isOurs, type HookPlace } from './hook-places.ts'
import type { Saved, SavedRule, SavedTable } from './parse.ts'
import { fingerprintOf, renderRule } from './render.ts'

/** Which of the two iptables in the kernel: separate subsystems with separate rules. */
export type Flavour = 'nft' | 'legacy'

/** What has to be written so that the kernel holds `desired`: one restore input a table, each atomic. */
export interface TableChange {
  readonly family: Family
  readonly table: Table
  readonly input: string
  /** One line a chain or hook, for plans and logs. */
  readonly summary: readonly string[]
  /** Undefined: the one in use. */
  readonly flavour?: Flavour
}

const TABLES: readonly Table[] = ['raw', 'nat', 'filter']
const EMPTY: SavedTable = { chains: new Map() }

/** Nothing but what differs; an empty list for an untouched host. Counters of rules that stay go along. */
export function diffRules(desired: Ruleset, actual: Saved, family: Family): TableChange[] {
  return TABLES.flatMap((table) => {
    const saved = actual.tables.get(table) ?? EMPTY
    const chains = desired.chains.filter((chain) => chain.table === table)
    const stale = [...saved.chains.keys()].filter(
      (name) => isOurs(name) && !chains.some((chain) => chain.name === name),
    )
    const hooks = desired.hooks.filter((hook) => hook.table === table)
    const lines: string[] = []
    const body: string[] = []
    const summary: string[] = []
    const counters = countersByKey(saved)
    for (const chain of chains) {
      const rendered = chain.rules.map((rule) => renderRule(rule, family))
      const current = saved.chains.get(chain.name)
      if (current && inSync(rendered, current.rules)) continue
      lines.push(`:${chain.name} - [0:0]`)
      body.push(
        ...rendered.map(
          (text, index) => `${counted(counters, chain.name, chain.rules[index])} -A ${chain.name} ${text}`,
        ),
      )
      summary.push(
        `${current ? 'rewrite' : 'create'} chain ${chain.name} (${describe(current?.rules, rendered)})`,
      )
    }
    const moves = hookMoves(hooks, saved, family, counters)
    summary.push(...moves.summary)
    if (stale.length > 0) {
      lines.push(...stale.map((name) => `:${name} - [0:0]`))
      summary.push(...stale.map((name) => `remove chain ${name}`))
    }
    if (summary.length === 0) return []
    const input = [
      `*${table}`,
      ...lines,
      ...moves.deletions,
      ...body,
      ...moves.insertions,
      ...stale.map((name) => `-X ${name}`),
      'COMMIT',
      '',
    ].join('\n')
    return [{ family, table, input, summary }]
  })
}

/** Removes every chain and jump of ours and nothing else. */
export function removeRules(actual: Saved, family: Family): TableChange[] {
  return diffRules({ chains: [], hooks: [] }, actual, family)
}

function inSync(rendered: readonly string[], rules: readonly SavedRule[]): boolean {
  return (
    rendered.length === rules.length &&
    rendered.every((text, index) => fingerprintOf(text)?.fingerprint === rules[index]?.fingerprint)
  )
}

function describe(current: readonly SavedRule[] | undefined, rendered: readonly string[]): string {
  if (!current) return `${rendered.length} rules`
  const before = new Set(current.map((rule) => rule.fingerprint))
  const after = new Set(rendered.map((text) => fingerprintOf(text)?.fingerprint))
  const added = [...after].filter((fingerprint) => !before.has(fingerprint)).length
  const removed = current.filter(
    (rule) => rule.fingerprint === undefined || !after.has(rule.fingerprint),
  ).length
  return `${added} rules added, ${removed} removed`
}

type CountersByRule = ReadonlyMap<string, string>

function countersByKey(saved: SavedTable): CountersByRule {
  const counters = new Map<string, string>()
  for (const [name, chain] of saved.chains) {
    for (const rule of chain.rules) {
      if (rule.key !== undefined) counters.set(`${name} ${rule.key}`, `[${rule.packets}:${rule.bytes}]`)
    }
  }
  return counters
}

const counted = (counters: CountersByRule, chain: string, rule: Rule | undefined): string =>
  counters.get(`${chain} ${rule?.key}`) ?? '[0:0]'

interface Moves {
  readonly deletions: string[]
  readonly insertions: string[]
  readonly summary: string[]
}

/** Puts each hook into its places and takes every other jump of ours away, in the same transaction. */
function hookMoves(
  hooks: readonly Hook[],
  saved: SavedTable,
  family: Family,
  counters: CountersByRule,
): Moves {
  const moves: Moves = { deletions: [], insertions: [], summary: [] }
  const wanted = new Map(
    hooks.flatMap((hook) => hookPlaces(hook, saved).map((place) => [place.parent, place])),
  )
  for (const [name, chain] of saved.chains) {
    if (isOurs(name)) continue
    const ours = chain.rules.filter((rule) => rule.target !== undefined && isOurs(rule.target))
    const place = wanted.get(name)
    if (place && isInPlace(place, chain.rules, ours, family)) {
      wanted.delete(name)
      continue
    }
    moves.deletions.push(...ours.map((rule) => `-D ${name} ${rule.text}`))
    if (ours.length > 0) moves.summary.push(`remove ${ours.length} jump from ${name}`)
  }
  for (const [name, { rule }] of wanted) {
    moves.insertions.push(`${counted(counters, name, rule)} -I ${name} 1 ${renderRule(rule, family)}`)
    moves.summary.push(`jump first from ${name}`)
  }
  return moves
}

function isInPlace(
  { rule, atMost }: HookPlace,
  rules: readonly SavedRule[],
  ours: readonly SavedRule[],
  family: Family,
): boolean {
  const [jump] = ours
  return (
    jump !== undefined &&
    ours.length === 1 &&
    rules.indexOf(jump) <= atMost &&
    fingerprintOf(renderRule(rule, family))?.fingerprint === jump.fingerprint
  )
}
