import type { MarkLayout } from '../config/marks.ts'
import { markWords } from '../dataplane/foreign-mark.ts'
import { nftForeignMarks } from '../targets/nftables/foreign-marks.ts'
import type { Run } from '../system/exec.ts'

export interface MarkWatchOptions {
  readonly run: Run
  readonly marks: () => MarkLayout
  /** Undefined: nobody writes them. Told each time. */
  readonly onState: (problem: string | undefined) => void
}

/** Tables of nft are others' business, and of what happens there only their whole listing tells. */
const LOOK_MS = 60_000

/** Whether rules of nft write bits of marks that are ours. Those of iptables are read by the passes anyway. */
export class MarkWatch {
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: MarkWatchOptions) {}

  start(): void {
    this.#timer ??= setInterval(() => void this.look(), LOOK_MS).unref()
    void this.look()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Never rejects: where the tool fails nothing is known, and the second guard says so by itself. */
  async look(): Promise<void> {
    const { run, marks, onState } = this.options
    try {
      const { stdout } = await run(['nft', '--terse', 'list', 'ruleset'])
      const found = nftForeignMarks(stdout, marks())
      onState(found.length === 0 ? undefined : markWords(found, marks()))
    } catch {
      return
    }
  }
}
