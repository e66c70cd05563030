import type { Run } from '../system/exec.ts'
import { SET_PREFIX } from '../dataplane/names.ts'
import { parseElements, parseHeaders, type SavedElement, type SetHeader } from './parse.ts'

/** Reads and writes sets through `ipset`, many lines a process. */
export class IpsetDriver {
  constructor(private readonly run: Run) {}

  /** Headers of our sets: cheap at any size. */
  async headers(): Promise<SetHeader[]> {
    const { stdout } = await this.run(['ipset', 'list', '-t'])
    return parseHeaders(stdout).filter((header) => header.name.startsWith(SET_PREFIX))
  }

  /**
   * All elements of the named sets, read by one process; a set that is gone is absent from the answer.
   * Never sorted by the tool: that takes minutes at 100,000.
   */
  async elements(sets: readonly string[]): Promise<Map<string, SavedElement[]>> {
    if (sets.length === 0) return new Map()
    const input = [...sets.map((set) => `save ${set}`), 'quit', ''].join('\n')
    const { stdout } = await this.run(['ipset', '-'], { input, timeoutMs: 60_000 })
    return parseElements(stdout)
  }

  /** Which of the sets hold the element that goes with them, asked of the kernel in one process. A set that is missing holds nothing. */
  async holding(
    questions: readonly { readonly set: string; readonly element: string }[],
  ): Promise<Set<string>> {
    if (questions.length === 0) return new Set()
    const input = [...questions.map(({ set, element }) => `test ${set} ${element}`), 'quit', ''].join('\n')
    const { stdout, stderr } = await this.run(['ipset', '-'], { input })
    return new Set([...`${stdout}\n${stderr}`.matchAll(/ is in set (\S+)\.$/gm)].map(([, set]) => set ?? ''))
  }

  /**
   * Runs the lines in order in one process. It is no transaction: a bad line leaves the ones before it done,
   * so after a failure the sets have to be read again.
   */
  async writeFile(path: string): Promise<void> {
    await this.run(['ipset', '-exist', 'restore', '-file', path], { timeoutMs: 120_000 })
  }

  /** As {@link writeFile}, for lines that are at hand. */
  async write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return
    try {
      await this.run(['ipset', '-exist', 'restore'], { input: `${lines.join('\n')}\n`, timeoutMs: 120_000 })
    } catch (cause) {
      // The tool counts lines; people need to know which set it is about.
      const line = cause instanceof Error ? /Error in line (\d+)/.exec(cause.message)?.[1] : undefined
      if (line === undefined) throw cause
      throw new Error(`writing sets, at "${lines[Number(line) - 1] ?? ''}"`, { cause })
    }
  }
}
