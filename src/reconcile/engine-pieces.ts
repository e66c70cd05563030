import { withoutComment, type Saved, type SavedRule } from '../targets/iptables/parse.ts'
import type { Family } from '../net/types.ts'
import type { Network } from '../workloads/model.ts'

/** A part of the engine's firewall that is there or is not, whatever its rules say in detail: that changes from version to version. */
export interface Piece {
  readonly key: string
  readonly what: 'forwarding' | 'isolation' | 'masquerading' | 'published ports'
  /** Undefined: it serves all networks. */
  readonly network?: Network
}

/** Which of the engine's rules stand, by key. Those of single containers come and go with them, and are left out. */
export function piecesIn(saved: Saved, networks: readonly Network[]): Map<string, Piece> {
  const byBridge = new Map(networks.flatMap((one) => (one.bridge === undefined ? [] : [[one.bridge, one]])))
  const bySubnet = new Map(networks.flatMap((one) => one.subnets.map((subnet) => [subnet as string, one])))
  const found = new Map<string, Piece>()
  for (const table of ['filter', 'nat'] as const) {
    for (const [chain, { rules }] of saved.tables.get(table)?.chains ?? []) {
      for (const rule of rules) {
        if (rule.key !== undefined || isOfContainer(rule)) continue
        const place = `${table} ${chain}`
        const what = whatOf(table, chain, rule)
        const source = bySubnet.get(valueOf(rule, '-s') ?? '')
        const links = [valueOf(rule, '-i'), valueOf(rule, '-o')].filter((one) => one !== undefined)
        const bridge = links.map((name) => byBridge.get(name)).find((one) => one !== undefined)
        if (place === 'nat POSTROUTING') {
          if (isMasquerade(rule) && source) add({ key: `${place} ${source.id}`, what, network: source })
        } else if (isEngines(chain) || isEngines(rule.target)) {
          if (bridge) add({ key: `${place} ${bridge.id}`, what, network: bridge })
          // One that names a link is of a network that is not listed yet, or no more.
          else if (links.length === 0 && isEngines(rule.target))
            add({ key: `${place} to ${rule.target}`, what })
        }
      }
    }
  }
  return found

  function add(piece: Piece): void {
    found.set(piece.key, piece)
  }
}

/** What every engine with rules in iptables has for networks that are not internal. A version that has them elsewhere must not be taken for one without. */
export function missingOfAny(
  present: ReadonlyMap<string, Piece>,
  networks: readonly Network[],
  family: Family,
): Piece[] {
  const outgoing = networks.filter(
    ({ bridge, internal, subnets }) =>
      bridge !== undefined && !internal && subnets.some((one) => one.includes(':') === (family === 6)),
  )
  if (outgoing.length === 0) return []
  const has = (start: string): boolean => [...present.keys()].some((key) => key.startsWith(start))
  const missing: Piece[] = []
  if (!has('filter FORWARD ')) missing.push({ key: 'filter FORWARD', what: 'forwarding' })
  if (!has('nat PREROUTING ')) missing.push({ key: 'nat PREROUTING', what: 'published ports' })
  if (outgoing.some((one) => !one.unmasqueraded?.includes(family)) && !has('nat POSTROUTING '))
    missing.push({ key: 'nat POSTROUTING', what: 'masquerading' })
  return missing
}

/** Does anything of an engine's stand here, rules or not? Flushing leaves its chains. */
export const hasEngineChain = (saved: Saved): boolean =>
  (['filter', 'nat'] as const).some((table) =>
    [...(saved.tables.get(table)?.chains.keys() ?? [])].some((chain) => isEngines(chain)),
  )

/** DOCKER-USER is its operator's. */
const isEngines = (name: string | undefined): boolean =>
  name !== undefined && /^DOCKER(-|$)/.test(name) && name !== 'DOCKER-USER'

const isMasquerade = ({ target }: SavedRule): boolean => target === 'MASQUERADE' || target === 'SNAT'

function whatOf(table: 'filter' | 'nat', chain: string, { target }: SavedRule): Piece['what'] {
  if (table === 'nat') return chain === 'POSTROUTING' ? 'masquerading' : 'published ports'
  return /ISOLATION|INTERNAL/.test(`${chain} ${target}`) ? 'isolation' : 'forwarding'
}

/** Published ports and links name a protocol or a destination. */
const isOfContainer = (rule: SavedRule): boolean =>
  valueOf(rule, '-p') !== undefined || valueOf(rule, '-d') !== undefined

/** What stands behind an option of a rule, negated or not. */
const valueOf = ({ text }: SavedRule, option: '-i' | '-o' | '-s' | '-d' | '-p'): string | undefined =>
  new RegExp(`(?:^| )${option} (\\S+)`).exec(withoutComment(text))?.[1]
