import type { MarkLayout } from '../config/marks.ts'
import { markWords } from '../dataplane/foreign-mark.ts'
import { nftForeignMarks } from '../targets/nftables/foreign-marks.ts'
import type { Run } from '../system/exec.ts'

export interface MarkWatchOptions {
  readonly run: Run
  readonly marks: () => MarkLayout
  /** Called after each look; undefined: no rule writes them. */
  readonly onState: (problem: string | undefined) => void
}

/** Changes of other programs' nft tables are only seen by listing all of them. */
const LOOK_MS = 60_000

/** Looks for nft rules that write bits of our marks. Rules of iptables are read by the passes anyway. */
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

  /** Never rejects: when the tool fails nothing is known, and the backstop reports that it is missing. */
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
