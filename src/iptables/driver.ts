import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolError, type Run } from '../system/exec.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { RulesChange } from './diff.ts'
import { parseSave, type Saved } from './parse.ts'

/** The tool's exit code for a kernel that was busy (or full). */
const RESOURCE_PROBLEM = 4
const ATTEMPTS = 3

/** Which of the two iptables in the kernel: separate subsystems with separate rules. */
export type Flavour = 'nft' | 'legacy'

export type SavedFamilies = Readonly<Record<Family, Saved>>
/** Of the families that were read. */
export type SomeFamilies = Partial<SavedFamilies>

/** Reads and writes rules through the kernel's own tools, in the flavour in which Docker's chains are. */
export class IptablesDriver {
  #flavour: Flavour | undefined
  /** The tables that each tool showed last. */
  readonly #shown = new Map<string, readonly string[]>()

  constructor(
    private readonly run: Run,
    /** `/proc/net/ip_tables_names`: the legacy tables that exist. Reading legacy rules would create them. */
    private readonly legacyTables: () => Promise<string> = readLegacyTables,
  ) {}

  get flavour(): Flavour | undefined {
    return this.#flavour
  }

  /** Looks where Docker's chains are; where there are none, takes what the host's `iptables` is. */
  async detect(): Promise<Flavour> {
    this.#flavour = await this.#find()
    return this.#flavour
  }

  async #find(): Promise<Flavour> {
    const nft = await this.#saveOf('nft', 4).catch((error: unknown) => {
      if (error instanceof ToolError && error.kind === 'missing') return undefined
      throw error
    })
    if (nft && hasDocker(nft)) return 'nft'
    if (/^filter$/m.test(await this.legacyTables()) && hasDocker(await this.#saveOf('legacy', 4)))
      return 'legacy'
    const { stdout } = await this.run(['iptables', '-V'])
    return stdout.includes('legacy') ? 'legacy' : 'nft'
  }

  async read(): Promise<SavedFamilies> {
    const flavour = this.#flavour ?? (await this.detect())
    const [four, six] = await Promise.all([this.#saveOf(flavour, 4), this.#saveOf(flavour, 6)])
    return { 4: four, 6: six }
  }

  async readSome(families: readonly Family[]): Promise<SomeFamilies> {
    if (families.length === FAMILIES.length) return this.read()
    const [family] = families
    if (family === undefined) return {}
    return { [family]: await this.#saveOf(this.#flavour ?? (await this.detect()), family) }
  }

  /** One table of one family, whole or not at all. Another writer in the same moment makes the kernel refuse: that is tried again. */
  async write(change: RulesChange): Promise<void> {
    const flavour = this.#flavour ?? (await this.detect())
    const tool = `${prefix(change.family)}-${flavour}-restore`
    for (let attempt = 1; ; attempt++) {
      try {
        await this.run([tool, '--noflush', '--counters', ...wait(flavour)], { input: change.input })
        return
      } catch (error) {
        const busy = error instanceof ToolError && error.exitCode === RESOURCE_PROBLEM
        if (!busy || attempt === ATTEMPTS) throw error
        await sleep(20 * attempt)
      }
    }
  }

  /** Every flavour in which rules may stand, with a driver for each: for taking everything of ours away. */
  async everywhere(): Promise<{ flavour: Flavour; saved: SavedFamilies; driver: IptablesDriver }[]> {
    const flavours: Flavour[] = ['nft']
    if (/^(filter|raw)$/m.test(await this.legacyTables())) flavours.push('legacy')
    return Promise.all(
      flavours.map(async (flavour) => {
        const driver = new IptablesDriver(this.run, this.legacyTables)
        driver.#flavour = flavour
        return { flavour, saved: await driver.read(), driver }
      }),
    )
  }

  /** As the kernel's tool prints it, for people. */
  async raw(): Promise<string> {
    const flavour = this.#flavour ?? (await this.detect())
    const parts = await Promise.all(
      FAMILIES.map((family) => this.run([`${prefix(family)}-${flavour}-save`, '-c'])),
    )
    return parts.map((part) => part.stdout).join('')
  }

  async #saveOf(flavour: Flavour, family: Family): Promise<Saved> {
    const tool = `${prefix(family)}-${flavour}-save`
    const read = async (): Promise<Saved> => parseSave((await this.run([tool, '-c'])).stdout, family)
    let saved = await read()
    // Nothing tells an answer that was cut off between two tables: one that is gone is gone when two answers say so.
    if (this.#shown.get(tool)?.some((table) => !saved.tables.has(table))) saved = await read()
    this.#shown.set(tool, [...saved.tables.keys()])
    return saved
  }
}

const prefix = (family: Family): string => (family === 4 ? 'iptables' : 'ip6tables')

/** Only the legacy tools share a lock. */
const wait = (flavour: Flavour): string[] => (flavour === 'legacy' ? ['-w', '5'] : [])

function hasDocker(saved: Saved): boolean {
  const chains = saved.tables.get('filter')?.chains
  return chains !== undefined && (chains.has('DOCKER-USER') || chains.has('DOCKER'))
}

async function readLegacyTables(): Promise<string> {
  try {
    return await readFile('/proc/net/ip_tables_names', 'utf8')
  } catch {
    // The file is there only while the legacy module is loaded.
    return ''
  }
}
