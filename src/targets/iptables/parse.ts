import type { Family } from '../../net/types.ts'
import { fingerprintOf } from './render.ts'

/** What `iptables-save -c` said, by table and chain. */
export interface Saved {
  readonly tables: ReadonlyMap<string, SavedTable>
}

export interface SavedTable {
  readonly chains: ReadonlyMap<string, SavedChain>
}

export interface SavedChain {
  /** `ACCEPT` or `DROP` of a built-in chain, undefined for others. */
  readonly policy: string | undefined
  readonly rules: readonly SavedRule[]
}

export interface SavedRule {
  /** Everything behind `-A CHAIN `, as the kernel's tool prints it. */
  readonly text: string
  readonly packets: number
  readonly bytes: number
  /** Undefined: not written by us. */
  readonly key: string | undefined
  readonly fingerprint: string | undefined
  /** Name behind `-j` or `-g`. */
  readonly target: string | undefined
}

/** The tables could not be read as rules: an unknown is never an empty firewall. */
export class SaveFormatError extends Error {
  override readonly name = 'SaveFormatError'
}

/**
 * Reads the whole output of iptables-save.
 * @throws SaveFormatError when a table is unreadable to the tool (native nft rules in it) or the output is cut off.
 */
export function parseSave(text: string, family: Family): Saved {
  const tables = new Map<string, SavedTable>()
  let chains: Map<string, { policy: string | undefined; rules: SavedRule[] }> | undefined
  let table = ''
  let complete = text === '' || text.endsWith('\n')
  for (const line of text.split('\n')) {
    // Each table stands between these two.
    if (line.startsWith('# Generated ')) complete = false
    else if (line.startsWith('# Completed')) complete = text.endsWith('\n')
    if (line.startsWith('*')) {
      table = line.slice(1)
      chains = new Map()
    } else if (line === 'COMMIT' && chains) {
      tables.set(table, { chains })
      chains = undefined
    } else if (line.startsWith(':') && chains) {
      const [name = '', policy = '-'] = line.slice(1).split(' ')
      chains.set(name, { policy: policy === '-' ? undefined : policy, rules: [] })
    } else if (line.startsWith('[') && chains) {
      const found = /^\[(\d+):(\d+)\] -A (\S+) ?(.*)$/.exec(line)
      const chain = found && chains.get(found[3] ?? '')
      if (!found || !chain)
        throw new SaveFormatError(
          `reading the IPv${family} ${table} table: unexpected line ${JSON.stringify(line.slice(0, 200))}`,
        )
      chain.rules.push(parseRule(found[4] ?? '', Number(found[1]), Number(found[2])))
    } else if (/table .* is incompatible/i.test(line)) {
      // The tool skips such a table and exits 0. Only ours matter: filter and raw.
      const name = /table [`'"]?(\w+)/i.exec(line)?.[1] ?? ''
      if (name === 'filter' || name === 'raw') {
        throw new SaveFormatError(
          `the IPv${family} ${name} table holds native nft rules, so no iptables tool can read it (Docker cannot either): move them into a table of their own`,
        )
      }
    }
  }
  if (chains || !complete)
    throw new SaveFormatError(`reading the IPv${family} ${table} table: the output is cut off`)
  return { tables }
}

function parseRule(text: string, packets: number, bytes: number): SavedRule {
  const ours = fingerprintOf(text)
  const target = /(?:^| )(?:-j|-g) (\S+)/.exec(withoutComment(text))?.[1]
  return { text, packets, bytes, key: ours?.key, fingerprint: ours?.fingerprint, target }
}

/** A comment is free text: it may contain what looks like a target. */
export const withoutComment = (text: string): string =>
  text.replace(/--comment (?:"(?:[^"\\]|\\.)*"|\S+)/, '')
