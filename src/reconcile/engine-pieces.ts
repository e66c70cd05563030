import { withoutComment, type Saved, type SavedRule } from '../targets/iptables/parse.ts'
import type { Family } from '../net/types.ts'
import type { Network } from '../workloads/model.ts'

/** A part of the engine's firewall that is present or missing. What its rules say in detail changes from version to version. */
export interface Piece {
  readonly key: string
  readonly what: 'forwarding' | 'isolation' | 'masquerading' | 'published ports'
  /** Undefined: it is for all networks. */
  readonly network?: Network
}

/** The parts of the engine's firewall that are present, by key. Rules of single containers come and go with them and are left out. */
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
          // A rule that names another link belongs to a network that is not listed yet, or no longer.
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

/** Parts that every engine with rules in iptables has for networks that are not internal, and that are missing. An engine that keeps its rules elsewhere must not be taken for one whose rules are gone. */
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

/** Are there chains of an engine? They stay when their rules are flushed. */
export const hasEngineChain = (saved: Saved): boolean =>
  (['filter', 'nat'] as const).some((table) =>
    [...(saved.tables.get(table)?.chains.keys() ?? [])].some((chain) => isEngines(chain)),
  )

/** DOCKER-USER belongs to the operator. */
const isEngines = (name: string | undefined): boolean =>
  name !== undefined && /^DOCKER(-|$)/.test(name) && name !== 'DOCKER-USER'

const isMasquerade = ({ target }: SavedRule): boolean => target === 'MASQUERADE' || target === 'SNAT'

function whatOf(table: 'filter' | 'nat', chain: string, { target }: SavedRule): Piece['what'] {
  if (table === 'nat') return chain === 'POSTROUTING' ? 'masquerading' : 'published ports'
  return /ISOLATION|INTERNAL/.test(`${chain} ${target}`) ? 'isolation' : 'forwarding'
}

/** Rules for published ports and links between containers name a protocol or a destination. */
const isOfContainer = (rule: SavedRule): boolean =>
  valueOf(rule, '-p') !== undefined || valueOf(rule, '-d') !== undefined

/** The value of an option of a rule, negated or not. */
const valueOf = ({ text }: SavedRule, option: '-i' | '-o' | '-s' | '-d' | '-p'): string | undefined =>
  new RegExp(`(?:^| )${option} (\\S+)`).exec(withoutComment(text))?.[1]
