import { CHAIN, CHAIN_PREFIX } from '../dataplane/names.ts'
import type { Table } from '../dataplane/model.ts'
import type { TraceRule } from '../dataplane/trace.ts'
import type { Saved } from '../targets/iptables/parse.ts'
import { readRule } from '../targets/iptables/read-rule.ts'

/** The words that an operator reads in the comment of a rule of ours; the rule itself where it is somebody else's. */
export function wordsOf(text: string, key: string | undefined): string {
  const comment = /--comment "([^"]*)"/.exec(text)?.[1]
  return key !== undefined && comment !== undefined ? comment.replace(/ \[[^\]]*\]$/, '') : text
}

/** A verify follows many packets through the same rules. */
const understood = new WeakMap<Saved, ReadonlyMap<string, readonly TraceRule[]>>()

/** Our chains of the filter table, understood. */
export function readChains(saved: Saved): ReadonlyMap<string, readonly TraceRule[]> {
  const known = understood.get(saved)
  if (known) return known
  const chains = new Map<string, readonly TraceRule[]>()
  understood.set(saved, chains)
  for (const [name, chain] of saved.tables.get('filter')?.chains ?? []) {
    if (!name.startsWith(CHAIN_PREFIX)) continue
    chains.set(
      name,
      chain.rules.map(({ text, key }) => ({ ...readRule(text), words: wordsOf(text, key) })),
    )
  }
  return chains
}

/** Where the kernel reaches our verdict from; undefined: it does not, and the rules guard nothing. */
export function hookOf(saved: Saved): string | undefined {
  if (jumpsTo(saved, 'FORWARD', 'DOCKER-USER') && jumpsTo(saved, 'DOCKER-USER', CHAIN.forward))
    return 'DOCKER-USER'
  return jumpsTo(saved, 'FORWARD', CHAIN.forward) ? 'FORWARD' : undefined
}

/** Does a chain of a table lead to another? */
export const jumpsTo = (saved: Saved, parent: string, target: string, table: Table = 'filter'): boolean =>
  saved.tables
    .get(table)
    ?.chains.get(parent)
    ?.rules.some((rule) => rule.target === target) ?? false
