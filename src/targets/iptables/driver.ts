import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ToolError, type Run } from '../../system/exec.ts'
import { FAMILIES, type Family } from '../../net/types.ts'
import { CHAIN_PREFIX } from '../../dataplane/names.ts'
import { removeRules, type Flavour, type TableChange } from './diff.ts'
import { parseSave, SaveFormatError, type Saved } from './parse.ts'

/** The tool's exit code for a kernel that was busy (or full). */
const RESOURCE_PROBLEM = 4
const ATTEMPTS = 3

export type SavedFamilies = Readonly<Record<Family, Saved>>
/** Of the families that were read. */
export type SomeFamilies = Partial<SavedFamilies>

/** What an earlier process left in the flavour that is not in use. */
export interface Leftovers {
  readonly changes: readonly TableChange[]
  /** Why they cannot all be taken away; a sentence for the operator. */
  readonly problem: string | undefined
}

export const FLAVOURS: readonly Flavour[] = ['nft', 'legacy']
const NOTHING: Saved = { tables: new Map() }

/** Reads and writes rules through the kernel's own tools, in the flavour in which Docker's chains are. */
export class IptablesDriver {
  #flavour: Flavour | undefined
  #doubted = false
  /** The flavour not in use was seen to hold nothing of ours. */
  #othersClean = false
  /** The tables that each tool showed last. */
  readonly #shown = new Map<string, readonly string[]>()

  constructor(
    private readonly run: Run,
    /** The legacy tables that exist, a line each. Asking the tools for one that does not would create it. */
    private readonly legacyTables: (family: Family) => Promise<string> = readLegacyTables,
  ) {}

  get flavour(): Flavour | undefined {
    return this.#flavour
  }

  /** Looks where Docker's chains are; where there are none, or in both, takes what the host's `iptables` is. */
  async detect(): Promise<Flavour> {
    this.#doubted = false
    this.#flavour = await this.#find()
    this.#othersClean = false
    return this.#flavour
  }

  /** The engine began anew and may use the other flavour: the next reading looks where its chains are. */
  doubt(): void {
    this.#doubted = true
  }

  async #find(): Promise<Flavour> {
    const legacy = await this.#holdsDocker('legacy')
    const nft = await this.#holdsDocker('nft').catch((error: unknown) => {
      // Native rules in nft's filter table make it unreadable, which hinders nobody who uses the other one.
      if (error instanceof SaveFormatError && legacy) return false
      throw error
    })
    if (nft !== legacy) return nft ? 'nft' : 'legacy'
    // An engine leaves its chains behind when the host changes over: it uses what `iptables` is now.
    const { stdout } = await this.run(['iptables', '-V'])
    return stdout.includes('legacy') ? 'legacy' : 'nft'
  }

  async #holdsDocker(flavour: Flavour): Promise<boolean> {
    const saved = await Promise.all(FAMILIES.map((family) => this.#savedWhere(flavour, family)))
    return saved.some(({ tables }) => {
      const chains = tables.get('filter')?.chains
      return chains !== undefined && (chains.has('DOCKER-USER') || chains.has('DOCKER'))
    })
  }

  async #current(): Promise<Flavour> {
    return this.#flavour === undefined || this.#doubted ? this.detect() : this.#flavour
  }

  async read(): Promise<SavedFamilies> {
    const flavour = await this.#current()
    const [four, six] = await Promise.all([this.#saveOf(flavour, 4), this.#saveOf(flavour, 6)])
    return { 4: four, 6: six }
  }

  async readSome(families: readonly Family[]): Promise<SomeFamilies> {
    if (families.length === FAMILIES.length) return this.read()
    const [family] = families
    if (family === undefined) return {}
    return { [family]: await this.#saveOf(await this.#current(), family) }
  }

  /** One table of one family, whole or not at all. Another writer in the same moment makes the kernel refuse: that is tried again. */
  async write(change: TableChange): Promise<void> {
    const flavour = change.flavour ?? this.#flavour ?? (await this.detect())
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

  /**
   * What removes rules of ours from the flavour that is not in use: they would go on judging, by a policy of long ago, and hold
   * sets that have to go. Reads nothing more once there was nothing.
   */
  async leftovers(): Promise<Leftovers> {
    const flavour = (await this.#current()) === 'nft' ? 'legacy' : 'nft'
    if (this.#othersClean) return { changes: [], problem: undefined }
    try {
      const changes = await this.removal(flavour)
      this.#othersClean = changes.length === 0
      return { changes, problem: undefined }
    } catch (error) {
      if (!(error instanceof SaveFormatError)) throw error
      this.#othersClean = !(await this.#nftNamesOurs())
      const problem = `rules of ours stand in iptables-${flavour}, which is not in use, and cannot be taken away: ${error.message}`
      return { changes: [], problem: this.#othersClean ? undefined : problem }
    }
  }

  /** What removes every rule of ours from one flavour; creates no table and needs no tool of a flavour that nobody uses. */
  async removal(flavour: Flavour): Promise<TableChange[]> {
    const changes = await Promise.all(
      FAMILIES.map(async (family) => removeRules(await this.#savedWhere(flavour, family), family)),
    )
    return changes.flat().map((change) => ({ ...change, flavour }))
  }

  /** Where iptables cannot read a table, nft can; without it nobody knows, and the answer is yes. */
  async #nftNamesOurs(): Promise<boolean> {
    const { stdout } = await this.run(['nft', 'list', 'chains']).catch((error: unknown) => {
      if (error instanceof ToolError && error.kind === 'missing') return { stdout: `chain ${CHAIN_PREFIX}` }
      throw error
    })
    return new RegExp(`^\\s*chain ${CHAIN_PREFIX}\\b`, 'm').test(stdout)
  }

  /** As the kernel's tool prints it, for people. */
  async raw(): Promise<string> {
    const flavour = await this.#current()
    const parts = await Promise.all(
      FAMILIES.map((family) => this.run([`${prefix(family)}-${flavour}-save`, '-c'])),
    )
    return parts.map((part) => part.stdout).join('')
  }

  /** Without creating anything; nothing where the flavour's tools are not installed. */
  async #savedWhere(flavour: Flavour, family: Family): Promise<Saved> {
    if (flavour === 'legacy' && !/^(filter|raw)$/m.test(await this.legacyTables(family))) return NOTHING
    try {
      return await this.#saveOf(flavour, family)
    } catch (error) {
      if (error instanceof ToolError && error.kind === 'missing') return NOTHING
      throw error
    }
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

async function readLegacyTables(family: Family): Promise<string> {
  try {
    return await readFile(`/proc/net/${family === 4 ? 'ip' : 'ip6'}_tables_names`, 'utf8')
  } catch (error) {
    // The file is there only while the legacy module is loaded.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}
