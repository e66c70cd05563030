import { BRIDGED, generationMark, type MarkLayout } from '../../config/marks.ts'
import { BACKSTOP_TABLE, OWNED_TABLE, shortHash } from '../../dataplane/names.ts'
import type { Backstop, OpenLink } from '../../dataplane/model.ts'
import type { Run } from '../../system/exec.ts'
import { isNoTable } from '../nftables/no-table.ts'

/** What the kernel holds of the second guard. */
export interface SavedBackstop {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  readonly droppedPackets: number
  readonly droppedBytes: number
  /** Bridges that it lets through, those of them that are there. */
  readonly open: readonly string[]
  /** Whose admitted connections pass it, the latest last. */
  readonly generations: readonly number[]
}

/** What a new writing goes on from. */
interface Before {
  readonly packets: number
  readonly bytes: number
  /** Its chains hang on their hooks and hold nothing of anybody else: their rules are replaced, and they stay. */
  readonly chainsStand: boolean
}

const NOTHING: Before = { packets: 0, bytes: 0, chainsStand: false }

/**
 * Where each chain hangs. Frames that a port hands to the host by itself are dropped ahead of everything. Approvals that a packet brings along are
 * cleared ahead of the filter table (priority 0), and its verdict is looked at behind it.
 */
const HOOKS = {
  prerouting: { hook: 'prerouting', priority: -310 },
  before: { hook: 'forward', priority: -5 },
  forward: { hook: 'forward', priority: 10 },
  input: { hook: 'input', priority: 10 },
} as const
type ChainName = keyof typeof HOOKS

/** The held twin comes after the plain table, so that it counts only what nobody else would have dropped. */
const HELD_LATER = 1

export const beforeOf = (saved: SavedBackstop | undefined): Before =>
  saved === undefined
    ? NOTHING
    : {
        packets: saved.droppedPackets,
        bytes: saved.droppedBytes,
        chainsStand: saved.fingerprints.every((one) => one !== undefined),
      }

/** When a chain leaves its hook, the kernel drops the first packets of containers that wait in its queue. */
const clear = (table: string, { chainsStand }: Before): string =>
  `${chainsStand ? 'flush' : 'delete'} table inet ${table}`

/**
 * The table as one transaction that replaces whatever of it is there. It decides nothing itself: it drops what no rule approved.
 * `iifkind bridge` holds for every bridge there is or will be, so a network is closed before anybody hears of it.
 */
export function renderBackstop(backstop: Backstop, before = NOTHING): string {
  return [
    `table inet ${BACKSTOP_TABLE} {}`,
    clear(BACKSTOP_TABLE, before),
    `table inet ${BACKSTOP_TABLE} {`,
    ...chainsOf(backstop).flatMap(([name, rules]) => [
      `  chain ${name} {`,
      `    ${hookLine(name)}`,
      ...rules.map((rule) => `    ${ruleLine(rule, before)}`),
      '  }',
    ]),
    '}',
    '',
  ].join('\n')
}

/** The same rules in a table that belongs to the process that writes it: one line, and so one transaction, of an `nft -i`. */
export function renderOwned(backstop: Backstop, saved?: SavedBackstop): string {
  const before = beforeOf(saved)
  return [
    ...(saved ? [`${clear(OWNED_TABLE, before)};`] : []),
    `table inet ${OWNED_TABLE} { flags owner;`,
    ...chainsOf(backstop).map(
      ([name, rules]) =>
        `chain ${name} { ${hookLine(name, HELD_LATER)} ${rules.map((rule) => `${ruleLine(rule, before)};`).join(' ')} };`,
    ),
    '}',
  ].join(' ')
}

const hookLine = (name: ChainName, later = 0): string => {
  const { hook, priority } = HOOKS[name]
  return `type filter hook ${hook} priority ${priority + later}; policy accept;`
}

function ruleLine(rule: BackstopRule, { packets, bytes }: Before): string {
  const counter = rule.isLast ? `counter packets ${packets} bytes ${bytes}` : ''
  const words = `comment "${rule.words} [${fingerprint(rule)}]"`
  return [rule.match, counter, rule.verdict, words].filter((part) => part !== '').join(' ')
}

export const removeBackstop = (table = BACKSTOP_TABLE): string =>
  `table inet ${table} {}\ndelete table inet ${table}\n`

/** Is what the kernel holds what would be written? */
export function backstopInSync(desired: Backstop, saved: SavedBackstop | undefined): boolean {
  const wanted = rulesOf(desired).map(fingerprint)
  return (
    saved !== undefined &&
    saved.fingerprints.length === wanted.length &&
    wanted.every((value, index) => value === saved.fingerprints[index])
  )
}

interface BackstopRule {
  readonly match: string
  readonly verdict: 'return' | 'drop' | `meta mark set ${string}`
  readonly words: string
  /** What is dropped here is counted: nothing has approved it. */
  readonly isLast?: boolean
}

const rulesOf = (backstop: Backstop): BackstopRule[] => chainsOf(backstop).flatMap(([, rules]) => rules)

function chainsOf(backstop: Backstop): [ChainName, BackstopRule[]][] {
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

/** For a kernel that begins anew: the numbers of links change with a boot, so only names are left, and of Docker's own networks not even those. */
export const atBoot = (backstop: Backstop): Backstop => ({
  ...backstop,
  open: backstop.open.filter(({ isDocker }) => !isDocker).map((link) => ({ ...link, index: undefined })),
})

/** For a boot without a daemon yet, where nobody knows whose rules stand: it approves nothing, whatever they say. */
export const closedGuard = (backstop: Backstop): Backstop => ({ ...atBoot(backstop), closed: true })

const admittedIn = (marks: MarkLayout, generation: number, more = ''): BackstopRule => ({
  match: `ct state established ct mark and ${hex(marks.generation)} == ${hex(generationMark(marks, generation))}${more}`,
  verdict: 'return',
  words: `admitted in generation ${generation}`,
})

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

const fingerprint = (rule: BackstopRule): string => shortHash(`${rule.match} ${rule.verdict} ${rule.words}`)

/** Reads and writes the second guard through `nft`. */
export class BackstopDriver {
  constructor(
    private readonly run: Run,
    /** The held twin is only looked at and taken away through it. */
    private readonly table = BACKSTOP_TABLE,
  ) {}

  /** Undefined: there is no such table. */
  async read(): Promise<SavedBackstop | undefined> {
    try {
      const { stdout } = await this.run(['nft', 'list', 'table', 'inet', this.table])
      return parseBackstop(stdout)
    } catch (error) {
      if (isNoTable(error)) return undefined
      throw error
    }
  }

  /** As the kernel's tool prints it; empty when there is no such table. */
  async raw(): Promise<string> {
    if ((await this.read()) === undefined) return ''
    return (await this.run(['nft', 'list', 'table', 'inet', this.table])).stdout
  }

  async write(text: string): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: text })
  }
}

/** As the kernel's tool prints the hooks of the plain table and of the held one. */
const HOOKED = {
  prerouting: /type filter hook prerouting priority (raw - (10|9)|-3(10|09)); policy accept;/,
  before: /type filter hook forward priority (filter - |-)[45]; policy accept;/,
  forward: /type filter hook forward priority (filter \+ 1[01]|1[01]); policy accept;/,
} as const
/** It is there only where something is left alone. */
const HOOKED_INPUT = /type filter hook input priority (filter \+ 1[01]|1[01]); policy accept;/

/** @throws Error when the listing is cut off. */
export function parseBackstop(text: string): SavedBackstop {
  if (!text.endsWith('\n}\n')) throw new Error('reading the backstop table: the listing is cut off')
  const fingerprints: (string | undefined)[] = []
  let droppedPackets = 0
  let droppedBytes = 0
  // A chain that no longer hangs on its hook guards nothing, whatever rules it holds.
  for (const hooked of Object.values(HOOKED)) if (!hooked.test(text)) fingerprints.push(undefined)
  if (/^[ \t]*chain input \{/m.test(text) && !HOOKED_INPUT.test(text)) fingerprints.push(undefined)
  for (const line of text.split('\n')) {
    const rule = line.trim()
    if (!/(^| )((return|drop|accept|jump|goto|reject)\b|meta mark set )/.test(rule)) continue
    if (rule.startsWith('type ')) continue
    fingerprints.push(/comment "[^"]*\[([0-9a-f]{8})\]"$/.exec(rule)?.[1])
    const counter = /counter packets (\d+) bytes (\d+) drop/.exec(rule)
    if (counter) {
      droppedPackets = Number(counter[1])
      droppedBytes = Number(counter[2])
    }
  }
  const alone = [...text.matchAll(/iif(?:name)? (?:\{ ([^{}]*) \}|("[^"]*")) return/g)]
  const open = alone.flatMap(([, several, one]) =>
    [...(several ?? one ?? '').matchAll(/"([^"]*)"/g)].map(([, name]) => name ?? ''),
  )
  const generations = [...text.matchAll(/comment "admitted in generation (\d+)/g)]
    .map(([, digits]) => Number(digits))
    .filter((generation) => generation !== BRIDGED)
  return { fingerprints, droppedPackets, droppedBytes, open: [...new Set(open)], generations }
}
