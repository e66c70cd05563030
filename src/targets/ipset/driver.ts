import type { Run } from '../../system/exec.ts'
import { SET_PREFIX } from '../../dataplane/names.ts'
import { parseElements, parseHeaders, type SavedElement, type SetHeader } from './parse.ts'

/** A hundred thousand elements take half a second. */
const READ_MS = 20_000
/** So much for a write, and for each of its lines: some fifty times what the kernel takes. */
const WRITE_MS = 20_000
const WRITE_MS_PER_LINE = 0.2

/** A command of a session that failed. */
const COMPLAINT = /^ipset v\S+: /m
const GONE = /^ipset v\S+: .*does not exist/

/** Reads and writes sets through `ipset`, many lines a process. */
export class IpsetDriver {
  constructor(private readonly run: Run) {}

  /** Headers of our sets: cheap at any size. */
  async headers(): Promise<SetHeader[]> {
    const { stdout, stderr } = await this.run(['ipset', '-'], { input: 'list -t\nquit\n' })
    // A session ends well whatever becomes of its commands.
    if (COMPLAINT.test(stderr)) throw new Error(`reading the sets: ${stderr.trim().slice(0, 200)}`)
    return parseHeaders(stdout).filter((header) => header.name.startsWith(SET_PREFIX))
  }

  /**
   * All elements of the named sets, read by one process; a set that is gone is absent from the answer.
   * Never sorted by the tool: that takes minutes at 100,000.
   */
  async elements(sets: readonly string[]): Promise<Map<string, SavedElement[]>> {
    const found = new Map<string, SavedElement[]>()
    let wanted = sets
    while (wanted.length > 0) {
      const input = [...wanted.map((set) => `save ${set}`), 'quit', ''].join('\n')
      const { stdout, stderr } = await this.run(['ipset', '-'], { input, timeoutMs: READ_MS })
      const answer = parseElements(stdout, wanted.length)
      for (const [set, elements] of answer) found.set(set, elements)
      const refused = wanted.findIndex((set) => !answer.has(set))
      if (refused === -1) break
      if (!GONE.test(stderr))
        throw new Error(`reading the set ${wanted[refused]}: ${stderr.trim().slice(0, 200)}`)
      // Behind a set that is gone the session answers nothing more ("Internal protocol error"), so the rest is asked again.
      wanted = wanted.slice(refused + 1).filter((set) => !answer.has(set))
    }
    return found
  }

  /** Which of the sets hold the element that goes with them, asked of the kernel in one process. A set that is missing holds nothing. */
  async holding(
    questions: readonly { readonly set: string; readonly element: string }[],
  ): Promise<Set<string>> {
    if (questions.length === 0) return new Set()
    const input = [...questions.map(({ set, element }) => `test ${set} ${element}`), 'quit', ''].join('\n')
    const { stdout, stderr } = await this.run(['ipset', '-'], { input })
    const complaints = stderr.split('\n').filter((line) => COMPLAINT.test(line) && !GONE.test(line))
    if (complaints.length > 0) throw new Error(`asking the sets: ${complaints.join('; ').slice(0, 200)}`)
    return new Set([...`${stdout}\n${stderr}`.matchAll(/ is in set (\S+)\.$/gm)].map(([, set]) => set ?? ''))
  }

  /**
   * Runs the lines in order in one process. It is no transaction: a bad line leaves the ones before it done,
   * so after a failure the sets have to be read again.
   */
  async writeFile(path: string): Promise<void> {
    await this.run(['ipset', '-exist', 'restore', '-file', path], { timeoutMs: 60_000 })
  }

  /** As {@link writeFile}, for lines that are at hand. */
  async write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return
    try {
      await this.run(['ipset', '-exist', 'restore'], {
        input: `${lines.join('\n')}\n`,
        timeoutMs: WRITE_MS + lines.length * WRITE_MS_PER_LINE,
      })
    } catch (cause) {
      // The tool counts lines; people need to know which set it is about.
      const line = cause instanceof Error ? /Error in line (\d+)/.exec(cause.message)?.[1] : undefined
      if (line === undefined) throw cause
      throw new Error(`writing sets, at "${lines[Number(line) - 1] ?? ''}"`, { cause })
    }
  }
}
