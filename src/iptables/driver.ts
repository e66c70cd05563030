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

/** Reads and writes rules through the kernel's own tools, in the flavour in which Docker's chains are. */
export class IptablesDriver {
  #flavour: Flavour | undefined

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
    const [four, six] = await Promise.all(FAMILIES.map((family) => this.#saveOf(flavour, family)))
    if (!four || !six) throw new Error('reading the rules: no answer')
    return { 4: four, 6: six }
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
    const { stdout } = await this.run([`${prefix(family)}-${flavour}-save`, '-c'])
    return parseSave(stdout, family)
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
