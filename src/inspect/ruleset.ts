import { CHAIN, CHAIN_PREFIX } from '../dataplane/names.ts'
import type { Table } from '../dataplane/model.ts'
import type { TraceRule } from '../dataplane/trace.ts'
import type { Saved } from '../targets/iptables/parse.ts'
import { readRule } from '../targets/iptables/read-rule.ts'

/** The words in the comment of a rule of ours; the rule itself where it is somebody else's. */
export function wordsOf(text: string, key: string | undefined): string {
  const comment = /--comment "([^"]*)"/.exec(text)?.[1]
  return key !== undefined && comment !== undefined ? comment.replace(/ \[[^\]]*\]$/, '') : text
}

/** Chains that were parsed before: a verify follows many packets through the same rules. */
const parsed = new WeakMap<Saved, ReadonlyMap<string, readonly TraceRule[]>>()

/** Our chains of the filter table, as rules that a packet can be followed through. */
export function readChains(saved: Saved): ReadonlyMap<string, readonly TraceRule[]> {
  const known = parsed.get(saved)
  if (known) return known
  const chains = new Map<string, readonly TraceRule[]>()
  parsed.set(saved, chains)
  for (const [name, chain] of saved.tables.get('filter')?.chains ?? []) {
    if (!name.startsWith(CHAIN_PREFIX)) continue
    chains.set(
      name,
      chain.rules.map(({ text, key }) => ({ ...readRule(text), words: wordsOf(text, key) })),
    )
  }
  return chains
}

/** The chain from which the kernel enters our rules; undefined: it does not enter them, and they guard nothing. */
export function hookOf(saved: Saved): string | undefined {
  if (jumpsTo(saved, 'FORWARD', 'DOCKER-USER') && jumpsTo(saved, 'DOCKER-USER', CHAIN.forward))
    return 'DOCKER-USER'
  return jumpsTo(saved, 'FORWARD', CHAIN.forward) ? 'FORWARD' : undefined
}

/** Does a rule of the chain `parent` lead to `target`? */
export const jumpsTo = (saved: Saved, parent: string, target: string, table: Table = 'filter'): boolean =>
  saved.tables
    .get(table)
    ?.chains.get(parent)
    ?.rules.some((rule) => rule.target === target) ?? false
