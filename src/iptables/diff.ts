import { CHAIN_PREFIX } from '../dataplane/names.ts'
import type { Hook, Rule, Ruleset, Table } from '../dataplane/model.ts'
import type { Family } from '../net/types.ts'
import type { Saved, SavedRule, SavedTable } from './parse.ts'
import { fingerprintOf, renderRule } from './render.ts'

/** Which of the two iptables in the kernel: separate subsystems with separate rules. */
export type Flavour = 'nft' | 'legacy'

/** What has to be written so that the kernel holds `desired`: one restore input a table, each atomic. */
export interface RulesChange {
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
export function diffRules(desired: Ruleset, actual: Saved, family: Family): RulesChange[] {
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
export function removeRules(actual: Saved, family: Family): RulesChange[] {
  return diffRules({ chains: [], hooks: [] }, actual, family)
}

export const isOurs = (chain: string): boolean =>
  chain === CHAIN_PREFIX || chain.startsWith(`${CHAIN_PREFIX}-`)

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

type Counters = ReadonlyMap<string, string>

function countersByKey(saved: SavedTable): Counters {
  const counters = new Map<string, string>()
  for (const [name, chain] of saved.chains) {
    for (const rule of chain.rules) {
      if (rule.key !== undefined) counters.set(`${name} ${rule.key}`, `[${rule.packets}:${rule.bytes}]`)
    }
  }
  return counters
}

const counted = (counters: Counters, chain: string, rule: Rule | undefined): string =>
  counters.get(`${chain} ${rule?.key}`) ?? '[0:0]'

interface Moves {
  readonly deletions: string[]
  readonly insertions: string[]
  readonly summary: string[]
}

/** Puts each hook first into its parent and takes every other jump of ours away, in the same transaction. */
function hookMoves(hooks: readonly Hook[], saved: SavedTable, family: Family, counters: Counters): Moves {
  const moves: Moves = { deletions: [], insertions: [], summary: [] }
  const wanted = new Map(hooks.map((hook) => [parentOf(hook, saved), hook]))
  for (const [name, chain] of saved.chains) {
    if (isOurs(name)) continue
    const ours = chain.rules.filter((rule) => rule.target !== undefined && isOurs(rule.target))
    const hook = wanted.get(name)
    if (
      hook &&
      ours.length === 1 &&
      ours[0] &&
      chain.rules[0] === ours[0] &&
      sameRule(hook.rule, ours[0], family)
    ) {
      wanted.delete(name)
      continue
    }
    moves.deletions.push(...ours.map((rule) => `-D ${name} ${rule.text}`))
    if (ours.length > 0) moves.summary.push(`remove ${ours.length} jump from ${name}`)
  }
  for (const [name, hook] of wanted) {
    moves.insertions.push(
      `${counted(counters, name, hook.rule)} -I ${name} 1 ${renderRule(hook.rule, family)}`,
    )
    moves.summary.push(`jump first from ${name}`)
  }
  return moves
}

function sameRule(rule: Rule, saved: SavedRule, family: Family): boolean {
  return fingerprintOf(renderRule(rule, family))?.fingerprint === saved.fingerprint
}

/** The first parent that exists and is reached from the last, which is built in. */
export function parentOf(hook: Hook, saved: SavedTable): string {
  const root = hook.parents.at(-1) ?? ''
  const reached = new Set(saved.chains.get(root)?.rules.map((rule) => rule.target))
  return (
    hook.parents.find((parent) => saved.chains.has(parent) && (parent === root || reached.has(parent))) ??
    root
  )
}
