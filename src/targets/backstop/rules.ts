import { BRIDGED, generationMark, type MarkLayout } from '../../config/marks.ts'
import type { Backstop, OpenLink } from '../../dataplane/model.ts'
import { shortHash } from '../../dataplane/names.ts'

/**
 * Where each chain hangs. Frames that a port hands to the host by itself are dropped ahead of everything. Approvals that a packet brings along are
 * cleared ahead of the filter table (priority 0), and its verdict is looked at behind it.
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
  /** What is dropped here is counted: nothing has approved it. */
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

/** Bridges hand these frames to the host as coming from the port itself: no rule about the bridge sees them. */
const RESERVED: BackstopRule = {
  match: 'meta iifkind "veth" ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00',
  verdict: 'drop',
  words: 'a frame to an address that no bridge forwards',
}

/** A bridge that was left alone is gone, and another one has its name: of what it may reach on the host the rules know the name alone. */
const reusedName = (links: readonly OpenLink[]): BackstopRule => ({
  match: `iifname ${setOf(links.map(quoted))} iif != ${setOf(links.map(({ index }) => `${index}`))}`,
  verdict: 'drop',
  words: 'another bridge of the name',
})

/**
 * The rules alone approve. A program that saves whole packet marks in connections and restores them would bring an approval back after the right
 * to it has gone.
 */
const beforeRules = (backstop: Backstop): BackstopRule[] => [
  ...otherLinks(backstop),
  {
    match: '',
    verdict: `meta mark set meta mark and ${hex(~approvalsOf(backstop).reduce((all, one) => all | one, 0) >>> 0)}`,
    words: 'only the rules that follow approve',
  },
]

/** Whose packets are none of our business. */
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

/** What lets a packet pass that no other rule lets. */
function approvals(backstop: Backstop): BackstopRule[] {
  const { generation, marks, former = [] } = backstop
  return [
    ...former.map((one) => admittedIn(one.marks, one.generation)),
    admittedIn(marks, generation),
    // Where an accept of somebody else stands ahead of the rules they see no more of such a connection than its first packet.
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

/** Rules that are not written yet approve by the bit that they have. */
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
