import { BACKSTOP_TABLE, GENERATION_MASK, generationMark, shortHash } from '../dataplane/names.ts'
import type { Backstop } from '../dataplane/model.ts'
import { ToolError, type Run } from '../system/exec.ts'

/** What the kernel holds of the second guard. */
export interface SavedBackstop {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  readonly droppedPackets: number
  readonly droppedBytes: number
  /** Bridges that it lets through. */
  readonly open: readonly string[]
}

/**
 * The table as one transaction that replaces whatever of it is there.
 * It runs after the filter table (priority 0) and decides nothing itself: it drops what no rule approved.
 * `iifkind bridge` holds for every bridge there is or will be, so a network is closed before anybody hears of it.
 */
export function renderBackstop(backstop: Backstop, counters = { packets: 0, bytes: 0 }): string {
  const rules = rulesOf(backstop)
  const last = rules.length - 1
  const lines = rules.map((rule, index) => {
    const counter = index === last ? ` counter packets ${counters.packets} bytes ${counters.bytes}` : ''
    return `    ${rule.match}${counter} ${rule.verdict} comment "${rule.words} [${fingerprint(rule)}]"`
  })
  return [
    `table inet ${BACKSTOP_TABLE} {}`,
    `delete table inet ${BACKSTOP_TABLE}`,
    `table inet ${BACKSTOP_TABLE} {`,
    '  chain forward {',
    '    type filter hook forward priority 10; policy accept;',
    ...lines,
    '  }',
    '}',
    '',
  ].join('\n')
}

export const removeBackstop = (): string =>
  `table inet ${BACKSTOP_TABLE} {}\ndelete table inet ${BACKSTOP_TABLE}\n`

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

function rulesOf({ markBit, generation, open }: Backstop): BackstopRule[] {
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
    {
      match: `ct state established ct mark and ${hex(GENERATION_MASK)} == ${hex(generationMark(generation))}`,
      verdict: 'return',
      words: `admitted in generation ${generation}`,
    },
    { match: `meta mark and ${bit} == ${bit}`, verdict: 'return', words: 'approved by the rules' },
    { match: '', verdict: 'drop', words: 'not approved' },
  ]
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

const fingerprint = (rule: BackstopRule): string => shortHash(`${rule.match} ${rule.verdict} ${rule.words}`)

/** Reads and writes the second guard through `nft`. */
export class BackstopDriver {
  constructor(private readonly run: Run) {}

  /** Undefined: there is no such table. */
  async read(): Promise<SavedBackstop | undefined> {
    try {
      const { stdout } = await this.run(['nft', 'list', 'table', 'inet', BACKSTOP_TABLE])
      return parseBackstop(stdout)
    } catch (error) {
      if (error instanceof ToolError && /No such file or directory|does not exist/.test(error.stderr))
        return undefined
      throw error
    }
  }

  /** As the kernel's tool prints it; empty when there is no such table. */
  async raw(): Promise<string> {
    if ((await this.read()) === undefined) return ''
    return (await this.run(['nft', 'list', 'table', 'inet', BACKSTOP_TABLE])).stdout
  }

  async write(text: string): Promise<void> {
    await this.run(['nft', '-f', '-'], { input: text })
  }
}

/** @throws Error when the listing is cut off. */
export function parseBackstop(text: string): SavedBackstop {
  if (!text.endsWith('\n}\n')) throw new Error('reading the backstop table: the listing is cut off')
  const hook = text.indexOf('type filter hook forward priority filter + 10; policy accept;')
  const fingerprints: (string | undefined)[] = []
  let droppedPackets = 0
  let droppedBytes = 0
  // A chain that no longer hangs on its hook guards nothing, whatever rules it holds.
  if (hook === -1 && !text.includes('hook forward priority 10;')) fingerprints.push(undefined)
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
