import { execa } from 'execa'

export interface LineSessionOptions {
  readonly argv: readonly [string, ...string[]]
  /** A question with a known answer. Everything printed before that answer belongs to the questions before it. */
  readonly marker: { readonly question: string; readonly answer: RegExp }
  /** Called when it ended by itself, or was ended because it gave no answer. */
  readonly onEnd: (error: Error) => void
  /** How long one answer may take; default 5 s. */
  readonly timeoutMs?: number
  /** How long after a start the next one may come; default 0.5 s. */
  readonly restartMs?: number
}

/** A program that stays and answers questions line by line. It is started with the first question, and again with the first one after its end. */
export class LineSession {
  readonly #options: LineSessionOptions
  #life: Life | undefined
  #lives = 0
  #startedAtMs = -Infinity
  #lastError: unknown
  #turn: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: LineSessionOptions) {
    this.#options = options
  }

  /** Which process runs now, counted from 1; undefined: none does. */
  get life(): number | undefined {
    return this.#life === undefined ? undefined : this.#lives
  }

  /** Resolves to what the program printed on its standard output. Rejects when it ended, gave no answer, or may not be started again yet. */
  ask(line: string): Promise<string> {
    const answer = this.#turn.then(() => this.#ask(line))
    this.#turn = answer.catch(() => undefined)
    return answer
  }

  /** What it printed lately on its standard error, for error messages. It is not in step with the standard output. */
  get complaint(): string {
    return this.#life?.complaint.trim() ?? ''
  }

  /** Ends the process that runs now, with everything that it started. The next question starts another. */
  drop(): void {
    this.#life?.kill()
  }

  /** Ends it by closing its input. Resolves when it has ended, or was killed because it stayed. */
  async close(): Promise<void> {
    this.#closed = true
    const life = this.#life
    if (!life) return
    life.endInput()
    const overdue = setTimeout(() => life.kill(), 1000)
    await life.over
    clearTimeout(overdue)
  }

  async #ask(line: string): Promise<string> {
    const { marker, timeoutMs = 5_000 } = this.#options
    const life = this.#life ?? this.#start()
    const overdue = setTimeout(() => life.kill(`no answer within ${timeoutMs / 1000} s`), timeoutMs)
    try {
      return await life.ask(`${line}\n${marker.question}\n`, marker.answer)
    } finally {
      clearTimeout(overdue)
    }
  }

  #start(): Life {
    const { argv, onEnd, restartMs = 500 } = this.#options
    const name = argv.join(' ')
    if (this.#closed) throw new Error(`${name} was closed`)
    const nowMs = performance.now()
    if (nowMs - this.#startedAtMs < restartMs)
      throw new Error(`${name} has just ended`, { cause: this.#lastError })
    this.#startedAtMs = nowMs
    this.#lives += 1
    const life = new Life(argv, (error) => {
      if (this.#life === life) this.#life = undefined
      this.#lastError = error
      if (!this.#closed) onEnd(error)
    })
    this.#life = life
    return life
  }
}

/** One process of the session. */
class Life {
  complaint = ''
  readonly over: Promise<void>
  readonly #child
  readonly #onEnd: (error: Error) => void
  readonly #name: string
  #resolveOver!: () => void
  #output = ''
  #waiting: { answer: RegExp; resolve(output: string): void; reject(error: Error): void } | undefined
  #ended: Error | undefined

  constructor(argv: readonly [string, ...string[]], onEnd: (error: Error) => void) {
    const [file, ...args] = argv
    this.#name = argv.join(' ')
    this.#onEnd = onEnd
    this.over = new Promise((resolve) => (this.#resolveOver = resolve))
    this.#child = execa(file, args, {
      stdin: 'pipe',
      // The output is read as it comes. Kept as a whole, it would fill the memory over the years.
      buffer: false,
      reject: false,
      env: { LC_ALL: 'C' },
      killSignal: 'SIGKILL',
    })
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#printed(text))
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.complaint = (this.complaint + text).slice(-2000)
    })
    // The pipe broke. The end of the process is reported by itself.
    this.#child.stdin.on('error', () => undefined)
    void this.#child.then((result) => this.#end(this.complaint.trim() || (result.shortMessage ?? 'it ended')))
  }

  ask(text: string, answer: RegExp): Promise<string> {
    if (this.#ended) return Promise.reject(this.#ended)
    this.#output = ''
    this.complaint = ''
    return new Promise<string>((resolve, reject) => {
      this.#waiting = { answer, resolve, reject }
      this.#child.stdin.write(text)
    }).finally(() => (this.#waiting = undefined))
  }

  endInput(): void {
    this.#child.stdin.end()
  }

  /** Does not wait for the end: a process that sleeps in the kernel, or left a child with our pipe, outlives the kill. */
  kill(why = 'it was ended'): void {
    this.#child.kill('SIGKILL')
    this.#end(why)
  }

  #end(why: string): void {
    if (this.#ended) return
    this.#ended = new Error(`${this.#name}: ${why}`)
    this.#waiting?.reject(this.#ended)
    this.#resolveOver()
    this.#onEnd(this.#ended)
  }

  #printed(text: string): void {
    if (!this.#waiting) return
    this.#output += text
    const found = this.#waiting.answer.exec(this.#output)
    if (found) this.#waiting.resolve(this.#output.slice(0, found.index))
  }
}
