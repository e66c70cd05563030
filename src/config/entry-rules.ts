import { cidrContains, prefixOf } from '../net/cidr.ts'
import { METADATA } from '../net/metadata.ts'
import { isAnyPort } from '../net/ports.ts'
import { LOOPBACK } from '../net/ranges.ts'
import { familyOf, type Cidr } from '../net/types.ts'
import type { AllowEntry } from './model.ts'
import { targetText } from './target-text.ts'
import { rentedBelow, sharedSuffix } from './tenants.ts'

const WILDCARD_REASON =
  'a wildcard cannot be allowed by resolving names again and again: DNS does not tell which names exist under it. ' +
  '"dns: { gateway: true }" makes it work, since the gateway sees what containers ask; without it, name each host'

export interface Finding {
  readonly severity: 'error' | 'warning'
  readonly message: string
}

/** What the rules about one entry need to know of the rest of the config. */
export interface EntryContext {
  readonly metadata: { readonly block: boolean; readonly extra: readonly Cidr[] }
  readonly never: readonly Cidr[]
  /** Do containers ask the DNS gateway? */
  readonly gateway: boolean
  readonly nowMs: number
}

/** What is wrong with or odd about one entry, whose values are all well-formed. */
export function judgeEntry(entry: AllowEntry, around: EntryContext): Finding[] {
  return [...judgeTarget(entry, around), ...judgeTerms(entry, around.nowMs)]
}

function* judgeTarget({ target, ports }: AllowEntry, around: EntryContext): Generator<Finding> {
  if (target.kind === 'cidr') {
    yield* judgeNetwork(target.cidr, around)
    const above = around.never.find((never) => cidrContains(never, target.cidr))
    if (above !== undefined)
      yield warning(`${target.cidr} lies in never (${above}): this entry allows nothing`)
    return
  }
  if (isAnyPort(ports)) {
    const what = target.kind === 'internet' ? 'the internet' : targetText(target)
    yield warning(`ports: any opens every TCP and UDP port of ${what}: name those that are needed`)
  }
  if (target.kind === 'internet') return
  const text = targetText(target)
  if (target.kind === 'wildcard') {
    if (!around.gateway) yield error(`"${text}": ${WILDCARD_REASON}`)
    const rented = rentedBelow(target)
    if (rented !== undefined) {
      yield warning(`${text}: anyone can rent a place under ${rented}, and whoever does can be reached too`)
      return
    }
  }
  const suffix = sharedSuffix(target.kind === 'domain' ? target.name : target.suffix)
  if (suffix === undefined) return
  yield warning(
    `${text}: addresses under ${suffix} serve many tenants: whoever rents a place there can be reached too`,
  )
}

function* judgeNetwork(cidr: Cidr, around: EntryContext): Generator<Finding> {
  const family = familyOf(cidr)
  if (prefixOf(cidr) === 0) {
    yield warning(
      `${cidr} allows every address but metadata and link-local ones, which are always refused first: "to: internet" leaves out private addresses too`,
    )
    return
  }
  const extra = around.metadata.extra.filter((network) => familyOf(network) === family)
  const metadata = around.metadata.block ? [...METADATA[family], ...extra] : []
  const kinds = [
    { networks: LOOPBACK[family], what: 'loopback' },
    { networks: metadata, what: 'cloud metadata or link-local' },
  ]
  for (const { networks, what } of kinds) {
    const inside = networks.find((network) => cidrContains(network, cidr))
    if (inside !== undefined) {
      yield error(`${cidr} lies in ${inside} (${what}), which no entry can allow`)
      continue
    }
    const covered = networks.find((network) => cidrContains(cidr, network))
    if (covered !== undefined) {
      yield error(
        `${cidr} covers ${covered} (${what}), which no entry can allow: name the networks beside it`,
      )
    }
  }
}

function* judgeTerms(entry: AllowEntry, nowMs: number): Generator<Finding> {
  if (entry.untilMs !== undefined && entry.untilMs <= nowMs) {
    yield warning(`until is past (${new Date(entry.untilMs).toISOString()}): this entry allows nothing`)
  }
  if (entry.private && entry.target.kind === 'internet') {
    yield error('"to: internet" never includes private addresses: private: true contradicts it')
  }
}

const error = (message: string): Finding => ({ severity: 'error', message })
const warning = (message: string): Finding => ({ severity: 'warning', message })
