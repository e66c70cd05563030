import { BACKSTOP_TABLE } from '../../dataplane/names.ts'
import type { Run } from '../../system/exec.ts'
import { isNoTable } from '../nftables/no-table.ts'
import { parseBackstop, type SavedBackstop } from './parse.ts'

/** Reads and writes the backstop through `nft`. */
export class BackstopDriver {
  constructor(
    private readonly run: Run,
    /** The owned table is only read and removed through this driver. */
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
