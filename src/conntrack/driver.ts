import type { Run } from '../system/exec.ts'
import type { Address, Family } from '../net/types.ts'
import { ToolError } from '../system/exec.ts'
import type { Flow } from '../dataplane/flow.ts'

/** A hundred thousand connections take a second. A pass that waits for them guards nothing new meanwhile. */
const TABLE_MS = 15_000

/** Reads the kernel's connection table. */
export class ConntrackDriver {
  constructor(private readonly run: Run) {}

  async flows(family: Family): Promise<Flow[]> {
    try {
      const argv = ['conntrack', '-L', '-f', family === 4 ? 'ipv4' : 'ipv6'] as const
      const { stdout, stderr } = await this.run(argv, { timeoutMs: TABLE_MS })
      if (!isComplete(stdout, stderr)) throw new Error('reading the connections: the answer is cut off')
      return parseFlows(stdout)
    } catch (error) {
      // It exits 1 where IPv6 is switched off in the kernel, and says so.
      if (error instanceof ToolError && family === 6 && /not supported/i.test(error.stderr)) return []
      throw error
    }
  }

  /** Forgets every connection with this mark. One scan of the table, 40 ms at 100,000 entries. */
  async deleteMarked(mark: number, mask: number): Promise<void> {
    for (const family of ['ipv4', 'ipv6']) {
      // It exits 1 when there was none, or no such family.
      await this.run(['conntrack', '-D', '-f', family, '--mark', `${mark}/${mask}`], {
        okExitCodes: [1],
        timeoutMs: TABLE_MS,
      })
    }
  }
}

/** The tool says last, and elsewhere, how many lines it has printed. */
function isComplete(stdout: string, stderr: string): boolean {
  const shown = /: (\d+) flow entries have been shown/.exec(stderr)?.[1]
  return shown !== undefined && Number(shown) === stdout.split('\n').length - 1
}

const FIELD = /(\w+)=(\S+)/g

/** Reads `conntrack -L`: two tuples a line, the second one as replies look. */
export function parseFlows(text: string): Flow[] {
  const flows: Flow[] = []
  for (const line of text.split('\n')) {
    const protocol = /^(\w+)/.exec(line)?.[1]
    if (protocol === undefined) continue
    const fields = new Map<string, string[]>()
    for (const [, name = '', value = ''] of line.matchAll(FIELD)) {
      const known = fields.get(name)
      if (known) known.push(value)
      else fields.set(name, [value])
    }
    const sources = fields.get('src')
    const source = sources?.[0]
    const destination = sources?.[1]
    if (source === undefined || destination === undefined) continue
    const port = fields.get('sport')?.[1]
    flows.push({
      protocol,
      source: source as Address,
      destination: destination as Address,
      port: port === undefined ? undefined : Number(port),
      mark: Number(fields.get('mark')?.[0] ?? 0),
    })
  }
  return flows
}
