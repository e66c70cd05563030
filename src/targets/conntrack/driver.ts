import type { Run } from '../../system/exec.ts'
import { FAMILIES, familyOf, type Address, type Family } from '../../net/types.ts'
import { ToolError } from '../../system/exec.ts'
import type { Flow } from '../../dataplane/flow.ts'

/** A hundred thousand connections take a second. A pass that waits for them guards nothing new in the meantime. */
const TABLE_MS = 15_000

/** Reads the kernel's connection table. */
export class ConntrackDriver {
  constructor(private readonly run: Run) {}

  async flows(family: Family): Promise<Flow[]> {
    try {
      const argv = ['conntrack', '-L', '-f', optionOf(family)] as const
      const { stdout, stderr } = await this.run(argv, { timeoutMs: TABLE_MS })
      if (!isComplete(stdout, stderr)) throw new Error('reading the connections: the answer is cut off')
      const flows = parseFlows(stdout)
      // A flow that was skipped would never be revoked.
      if (flows.length !== stdout.split('\n').length - 1)
        throw new Error('reading the connections: one of them cannot be read')
      return flows
    } catch (error) {
      if (error instanceof ToolError && isAbsent(family, error.stderr)) return []
      throw error
    }
  }

  /** Forgets every connection with this mark. One scan of the table, 40 ms at 100,000 entries. */
  async deleteMarked(mark: number, mask: number): Promise<void> {
    for (const family of FAMILIES) await this.#delete(family, ['--mark', `${mark}/${mask}`])
  }

  /**
   * Forgets these connections, each by a process of its own.
   * @throws Error when the kernel refuses: those before it are forgotten
   */
  async forget(flows: readonly Flow[]): Promise<void> {
    const wanted = new Map(
      flows.map((flow) => [[flow.protocol, flow.source, flow.destination, flow.port].join(' '), flow]),
    )
    for (const { protocol, source, destination, port } of wanted.values()) {
      const from = port === undefined ? [] : ['--reply-port-src', `${port}`]
      // A protocol for which the tool has no name is left out; the addresses find the connection.
      const kind = protocol === 'unknown' ? [] : ['-p', protocol]
      const to = ['-s', source, '-r', destination, ...kind, ...from]
      await this.#delete(familyOf(destination), to)
    }
  }

  async #delete(family: Family, matches: readonly string[]): Promise<void> {
    // When a connection ends by itself in the meantime, the tool gives up on the others.
    let complaint: string | undefined
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      complaint = await this.#tryToDelete(family, matches)
      if (complaint === undefined || !/such conntrack doesn't exist/.test(complaint)) break
    }
    if (complaint !== undefined) throw new Error(`forgetting connections: ${complaint.slice(0, 200)}`)
  }

  /** Resolves to the tool's error message; undefined: it went well. */
  async #tryToDelete(family: Family, matches: readonly string[]): Promise<string | undefined> {
    const argv = ['conntrack', '-D', '-f', optionOf(family), ...matches] as const
    const { exitCode, stderr } = await this.run(argv, { okExitCodes: [1], timeoutMs: TABLE_MS })
    // It exits 1 when there was no such connection, as it does for every failure.
    const isFailure =
      exitCode === 1 && !/: 0 flow entries have been deleted/.test(stderr) && !isAbsent(family, stderr)
    return isFailure ? stderr.trim() : undefined
  }
}

const MOST_TRIES = 5

const optionOf = (family: Family): string => (family === 4 ? 'ipv4' : 'ipv6')

/** It exits 1 where IPv6 is switched off in the kernel, and says so. */
const isAbsent = (family: Family, stderr: string): boolean => family === 6 && /not supported/i.test(stderr)

/** The tool reports at the end, on stderr, how many lines it has printed. */
function isComplete(stdout: string, stderr: string): boolean {
  const shown = /: (\d+) flow entries have been shown/.exec(stderr)?.[1]
  return shown !== undefined && Number(shown) === stdout.split('\n').length - 1
}

/** Anchored at the beginning of a word, or the expression would be tried at each letter of a long word. */
const FIELD = /\b(\w+)=(\S+)/g

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
