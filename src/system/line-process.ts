import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'

export interface LineProcessOptions {
  readonly argv: readonly [string, ...string[]]
  /** A line of its standard output, without the newline. */
  readonly onLine: (line: string) => void
  /** It runs (again), or complains, mostly of messages that it lost: what happened before, nobody has told. */
  readonly onStart: () => void
  /** It could not be started or ended, and will be started again. */
  readonly onEnd: (error: Error) => void
  readonly restart?: { readonly firstMs: number; readonly lastMs: number }
}

/** A program that runs for as long as we do and prints what it sees: kept alive, with growing waits between starts. */
export class LineProcess {
  readonly #options: LineProcessOptions
  readonly #stopping = new AbortController()
  #done: Promise<void> | undefined

  constructor(options: LineProcessOptions) {
    this.#options = options
  }

  start(): void {
    this.#done ??= this.#keepRunning()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping
    const { firstMs, lastMs } = this.#options.restart ?? { firstMs: 200, lastMs: 10_000 }
    let waitMs = firstMs
    while (!signal.aborted) {
      const startedAtMs = performance.now()
      try {
        await this.#runOnce(signal)
        if (!signal.aborted) this.#options.onEnd(new Error(`${this.#options.argv[0]} ended`))
      } catch (cause) {
        if (!signal.aborted)
          this.#options.onEnd(new Error(`running ${this.#options.argv.join(' ')}`, { cause }))
      }
      // One that ran for long ended for a reason of its own.
      waitMs = performance.now() - startedAtMs > lastMs ? firstMs : Math.min(lastMs, waitMs * 2)
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const [file, ...args] = this.#options.argv
    const child = execa(file, args, {
      stdin: 'ignore',
      // Read line by line below; kept, the output of years would fill the memory.
      buffer: false,
      env: { LC_ALL: 'C' },
      cancelSignal: signal,
      killSignal: 'SIGKILL',
    })
    child.once('spawn', () => this.#options.onStart())
    // Unread it would stand still some day.
    child.stderr.on('data', () => this.#options.onStart())
    for await (const line of child.iterable()) this.#options.onLine(line)
    await child
  }
}
