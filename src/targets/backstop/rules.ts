import { BRIDGED, generationMark, type MarkLayout } from '../../config/marks.ts'
import type { Backstop, OpenLink } from '../../dataplane/model.ts'
import { shortHash } from '../../dataplane/names.ts'

/**
 * The hook of each chain. Frames that a port hands to the host itself are dropped before anything else sees them. An approval bit that a packet
 * already bears is cleared before the filter table (priority 0), and the verdict of the filter table is checked after it.
 */
export const HOOKS = {
  prerouting: { hook: 'prerouting', priority: -310 },
  before: { hook: 'forward', priority: -5 },
  forward: { hook: 'forward', priority: 10 },
  input: { hook: 'input', priority: 10 },
} as const
export type ChainName = keyof typeof HOOKS

export interface BackstopRule {
  readonly match: string
  readonly verdict: 'return' | 'drop' | `meta mark set ${string}`
  readonly words: string
  /** The last rule drops what was not approved, and counts it. */
  readonly isLast?: boolean
}

export const rulesOf = (backstop: Backstop): BackstopRule[] =>
  chainsOf(backstop).flatMap(([, rules]) => rules)

export function chainsOf(backstop: Backstop): [ChainName, BackstopRule[]][] {
  const links = backstop.open.filter(({ index }) => index !== undefined)
  const all: [ChainName, BackstopRule[]][] = [
    ['prerouting', [RESERVED]],
    ['before', backstop.closed ? [] : beforeRules(backstop)],
    ['forward', forwardRules(backstop)],
    ['input', links.length > 0 ? [reusedName(links)] : []],
  ]
  return all.filter(([, rules]) => rules.length > 0)
}

/** Bridges hand frames to these addresses to the host as coming from the port itself, so no rule that matches the bridge sees them. */
const RESERVED: BackstopRule = {
  match: 'meta iifkind "veth" ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00',
  verdict: 'drop',
  words: 'a frame to an address that no bridge forwards',
}

/** A bridge that was left alone is gone, and another one has its name. The rules for packets to the host match the name alone. */
const reusedName = (links: readonly OpenLink[]): BackstopRule => ({
  match: `iifname ${setOf(links.map(quoted))} iif != ${setOf(links.map(({ index }) => `${index}`))}`,
  verdict: 'drop',
  words: 'another bridge of the name',
})

/**
 * Only our rules may approve. A program that saves whole packet marks in connections and restores them would restore an approval after its right
 * has ended.
 */
const beforeRules = (backstop: Backstop): BackstopRule[] => [
  ...otherLinks(backstop),
  {
    match: '',
    verdict: `meta mark set meta mark and ${hex(~approvalsOf(backstop).reduce((all, one) => all | one, 0) >>> 0)}`,
    words: 'only the rules that follow approve',
  },
]

/** Packets of links that are not guarded. */
function otherLinks({ open, stacked }: Pick<Backstop, 'open' | 'stacked'>): BackstopRule[] {
  const onTop = stacked.length > 0 ? ` iifname != ${setOf(stacked.map((name) => quoted({ name })))}` : ''
  const links = open.flatMap(({ index }) => (index === undefined ? [] : [`${index}`]))
  const names = open.filter(({ index }) => index === undefined).map(quoted)
  return [
    { match: `meta iifkind != "bridge"${onTop}`, verdict: 'return', words: 'not from a bridge' },
    ...(links.length > 0 ? [leftAlone(`iif ${setOf(links)}`)] : []),
    ...(names.length > 0 ? [leftAlone(`iifname ${setOf(names)}`)] : []),
  ]
}

function forwardRules(backstop: Backstop): BackstopRule[] {
  return [
    ...otherLinks(backstop),
    {
      match: 'ct state established ct direction reply ct status dnat',
      verdict: 'return',
      words: 'replies to clients of published ports',
    },
    ...(backstop.closed ? [] : approvals(backstop)),
    { match: '', verdict: 'drop', words: 'not approved', isLast: true },
  ]
}

/** The rules that let approved packets pass. */
function approvals(backstop: Backstop): BackstopRule[] {
  const { generation, marks, former = [] } = backstop
  return [
    ...former.map((one) => admittedIn(one.marks, one.generation)),
    admittedIn(marks, generation),
    // Where an accept rule of another program comes before ours, our rules see only the first packet of such a connection.
    { ...admittedIn(marks, BRIDGED, ' meta oifkind "bridge"'), words: 'between containers of one network' },
    ...approvalsOf(backstop)
      .map(hex)
      .map((bit): BackstopRule => ({
        match: `meta mark and ${bit} == ${bit}`,
        verdict: 'return',
        words: 'approved by the rules',
      })),
  ]
}

/** Until the new rules are written, those in force approve by the bit of their own layout. */
const approvalsOf = ({ marks, former = [] }: Backstop): number[] => [
  ...new Set([marks.approval, ...former.map((one) => one.marks.approval)]),
]

const leftAlone = (match: string): BackstopRule => ({ match, verdict: 'return', words: 'bridges left alone' })

const setOf = (elements: readonly string[]): string => `{ ${elements.join(', ')} }`
const quoted = ({ name }: { readonly name: string }): string => `"${name}"`

const admittedIn = (marks: MarkLayout, generation: number, more = ''): BackstopRule => ({
  match: `ct state established ct mark and ${hex(marks.generation)} == ${hex(generationMark(marks, generation))}${more}`,
  verdict: 'return',
  words: `admitted in generation ${generation}`,
})

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

/** Recognises a rule in the kernel by what was written. */
export const fingerprint = (rule: BackstopRule): string =>
  shortHash(`${rule.match} ${rule.verdict} ${rule.words}`)
