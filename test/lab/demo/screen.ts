/** What a step found. */
export interface Outcome {
  readonly ok: boolean
  /** What came back, in a few words. */
  readonly back: string
  readonly tookMs?: number
  /** Instead of OK, where it is as expected and yet not good: what there is before the guard. */
  readonly verdict?: string
}

/** Where it is written: a terminal, or anything that takes text. */
export interface Sink {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/**
 * The story as a table: what was tried, what came back, how long it took, and whether that is right. A row appears when
 * its step has ended; on a terminal a line below it says meanwhile what is going on, so that nobody waits in the dark.
 */
export class Screen {
  private failed = 0
  private readonly color: boolean
  private readonly width: number
  /** What reads a pipe needs no folding. */
  private readonly textWidth: number

  constructor(private readonly sink: Sink) {
    this.color = sink.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
    this.width = Math.max(72, Math.min(100, sink.isTTY ? (sink.columns ?? 100) : 100))
    this.textWidth = sink.isTTY ? Math.max(72, sink.columns ?? 100) : Infinity
  }

  /** Steps that were not as they should be. */
  get failures(): number {
    return this.failed
  }

  heading(title: string): void {
    this.sink.write(`\n${this.paint(1, title)}\n`)
  }

  /** Text of a command or of ours, indented, its long lines folded under their last column. */
  text(body: string): void {
    const lines = body.replace(/\n+$/, '').split('\n')
    const folded = lines.flatMap((line) => fold(line, this.textWidth - 2))
    this.sink.write(folded.map((line) => (line === '' ? '\n' : `  ${line}\n`)).join(''))
  }

  /** Runs one step and shows its row. A step that throws is not OK; the story goes on. */
  async step(tried: string, act: () => Promise<Outcome>): Promise<void> {
    const outcome = await this.during(tried, act).catch((error: unknown): Outcome => ({
      ok: false,
      back: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
    }))
    if (!outcome.ok) this.failed += 1
    this.row(tried, outcome)
  }

  /** Shows what goes on, and for how long, until the work is done. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (!this.color) return work()
    const beganMs = performance.now()
    const show = () => {
      const seconds = Math.floor((performance.now() - beganMs) / 1000)
      const text = `${what} …${seconds > 0 ? ` ${seconds} s` : ''}`.slice(0, this.width - 3)
      this.sink.write(`${CLEAR_LINE}  ${this.paint(2, text)}`)
    }
    show()
    const timer = setInterval(show, 250)
    try {
      return await work()
    } finally {
      clearInterval(timer)
      this.sink.write(CLEAR_LINE)
    }
  }

  private row(tried: string, outcome: Outcome): void {
    const { ok, back, tookMs, verdict } = outcome
    // Two spaces in front and between the columns.
    const room = this.width - 2 - 3 * 2 - TOOK - VERDICT
    const left = Math.floor(room * 0.6)
    const [first, second] = [wrap(tried, left), wrap(back, room - left)]
    const word = ok ? (verdict ?? 'OK') : 'NOT OK'
    const code = ok ? (verdict === undefined ? 32 : 33) : 31
    for (let line = 0; line < Math.max(first.length, second.length); line += 1) {
      const texts = [(first[line] ?? '').padEnd(left), (second[line] ?? '').padEnd(room - left)]
      const ends =
        line === 0 ? [(tookMs === undefined ? '' : span(tookMs)).padStart(TOOK), this.paint(code, word)] : []
      this.sink.write(`  ${[...texts, ...ends].join('  ').trimEnd()}\n`)
    }
  }

  private paint(code: number, text: string): string {
    return this.color ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}

const CLEAR_LINE = '\r\x1b[2K'
const [TOOK, VERDICT] = [7, 6]

const span = (ms: number): string =>
  ms < 1000 ? `${Math.max(1, Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`

/** Breaks at spaces; a word that is longer than a line gets one of its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Folds a line of a table so that the rest stands below its last column. */
function fold(line: string, width: number): string[] {
  if (line.length <= width) return [line.trimEnd()]
  // A last column narrower than this is not worth keeping to.
  const gaps = [...line.slice(0, width - 20).matchAll(/(?<=^| {2})(?=\S)/g)]
  const column = gaps.at(-1)?.index ?? 0
  const [first = '', ...rest] = wrap(line.slice(column), width - column)
  return [line.slice(0, column) + first, ...rest.map((part) => ' '.repeat(column) + part)]
}
