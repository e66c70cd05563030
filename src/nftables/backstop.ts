import { BACKSTOP_TABLE, GENERATION_MASK, generationMark, HELD_TABLE, shortHash } from '../dataplane/names.ts'
import type { Backstop } from '../dataplane/model.ts'
import type { Run } from '../system/exec.ts'
import { isNoTable } from './no-table.ts'

/** What the kernel holds of the second guard. */
export interface SavedBackstop {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  readonly droppedPackets: number
  readonly droppedBytes: number
  /** Bridges that it lets through. */
  readonly open: readonly string[]
}

/** Counters to go on from. */
interface Dropped {
  readonly packets: number
  readonly bytes: number
}

const NOTHING_DROPPED: Dropped = { packets: 0, bytes: 0 }
const PRIORITY = 10
/** After the plain table, so that it counts only what nobody else would have dropped. */
const HELD_PRIORITY = 11

/**
 * The table as one transaction that replaces whatever of it is there.
 * It runs after the filter table (priority 0) and decides nothing itself: it drops what no rule approved.
 * `iifkind bridge` holds for every bridge there is or will be, so a network is closed before anybody hears of it.
 */
export function renderBackstop(backstop: Backstop, dropped = NOTHING_DROPPED): string {
  return [
    `table inet ${BACKSTOP_TABLE} {}`,
    `delete table inet ${BACKSTOP_TABLE}`,
    `table inet ${BACKSTOP_TABLE} {`,
    '  chain forward {',
    `    type filter hook forward priority ${PRIORITY}; policy accept;`,
    ...ruleLines(backstop, dropped).map((line) => `    ${line}`),
    '  }',
    '}',
    '',
  ].join('\n')
}

/** The same rules in a table that belongs to the process that writes it: one line, and so one transaction, of an `nft -i`. */
export function renderHeld(backstop: Backstop, replaces: boolean, dropped = NOTHING_DROPPED): string {
  return [
    ...(replaces ? [`delete table inet ${HELD_TABLE};`] : []),
    `table inet ${HELD_TABLE} { flags owner;`,
    `chain forward { type filter hook forward priority ${HELD_PRIORITY}; policy accept;`,
    ...ruleLines(backstop, dropped).map((line) => `${line};`),
    '}; }',
  ].join(' ')
}

function ruleLines(backstop: Backstop, { packets, bytes }: Dropped): string[] {
  const rules = rulesOf(backstop)
  return rules.map((rule, index) => {
    const counter = index === rules.length - 1 ? `counter packets ${packets} bytes ${bytes}` : ''
    const words = `comment "${rule.words} [${fingerprint(rule)}]"`
    return [rule.match, counter, rule.verdict, words].filter((part) => part !== '').join(' ')
  })
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
  readonly verdict: 'return' | 'drop'
  readonly words: string
}

function rulesOf({ markBit, generation, formerGeneration, open }: Backstop): BackstopRule[] {
  const bit = hex(markBit)
  return [
    { match: 'meta iifkind != "bridge"', verdict: 'return', words: 'not from a bridge' },
    ...(open.length > 0
      ? [
          {
            match: `iifname { ${open.map((name) => `"${name}"`).join(', ')} }`,
            verdict: 'return' as const,
            words: 'bridges left alone',
          },
        ]
      : []),
    { match: 'ct state established ct direction reply', verdict: 'return', words: 'replies' },
    { match: 'ct state related meta l4proto { icmp, ipv6-icmp }', verdict: 'return', words: 'ICMP errors' },
    ...(formerGeneration === undefined ? [] : [admittedIn(formerGeneration)]),
    admittedIn(generation),
    { match: `meta mark and ${bit} == ${bit}`, verdict: 'return', words: 'approved by the rules' },
    { match: '', verdict: 'drop', words: 'not approved' },
  ]
}

const admittedIn = (generation: number): BackstopRule => ({
  match: `ct state established ct mark and ${hex(GENERATION_MASK)} == ${hex(generationMark(generation))}`,
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

const HOOKED = /type filter hook forward priority (filter \+ 10|1[01]); policy accept;/

/** @throws Error when the listing is cut off. */
export function parseBackstop(text: string): SavedBackstop {
  if (!text.endsWith('\n}\n')) throw new Error('reading the backstop table: the listing is cut off')
  const fingerprints: (string | undefined)[] = []
  let droppedPackets = 0
  let droppedBytes = 0
  // A chain that no longer hangs on its hook guards nothing, whatever rules it holds.
  if (!HOOKED.test(text)) fingerprints.push(undefined)
  for (const line of text.split('\n')) {
    const rule = line.trim()
    if (!/ (return|drop|accept|jump|goto|reject)\b|^(return|drop|accept|jump|goto|reject)\b/.test(rule))
      continue
    if (rule.startsWith('type ')) continue
    fingerprints.push(/comment "[^"]*\[([0-9a-f]{8})\]"$/.exec(rule)?.[1])
    const counter = /counter packets (\d+) bytes (\d+) drop/.exec(rule)
    if (counter) {
      droppedPackets = Number(counter[1])
      droppedBytes = Number(counter[2])
    }
  }
  const names = /iifname (?:\{ ([^}]*) \}|("[^"]*")) return/.exec(text)
  const open = [...(names?.[1] ?? names?.[2] ?? '').matchAll(/"([^"]*)"/g)].map(([, name]) => name ?? '')
  return { fingerprints, droppedPackets, droppedBytes, open }
}
