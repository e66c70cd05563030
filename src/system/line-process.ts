import { setTimeout as sleep } from 'node:timers/promises'
import { execa } from 'execa'

export interface LineProcessOptions {
  readonly argv: readonly [string, ...string[]]
  /** A line of its standard output, without the newline. */
  readonly onLine: (line: string) => void
  /** It runs (again), or it printed an error, mostly that it lost messages. Changes from before may not have been reported. */
  readonly onStart: () => void
  /** It could not be started, or it has ended. It will be started again. */
  readonly onEnd: (error: Error) => void
  readonly restart?: { readonly firstMs: number; readonly lastMs: number }
}

/** A program that runs for as long as we do and prints lines. It is started again when it ends, with growing waits between starts. */
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
      // A program that ran for long is started again without a long wait.
      waitMs = performance.now() - startedAtMs > lastMs ? firstMs : Math.min(lastMs, waitMs * 2)
      await sleep(waitMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    const [file, ...args] = this.#options.argv
    const child = execa(file, args, {
      stdin: 'ignore',
      // The output is read line by line below. Kept as a whole, it would fill the memory over the years.
      buffer: false,
      env: { LC_ALL: 'C' },
      cancelSignal: signal,
      killSignal: 'SIGKILL',
    })
    child.once('spawn', () => this.#options.onStart())
    // Its error output has to be read, or the program would block when the pipe is full.
    child.stderr.on('data', () => this.#options.onStart())
    for await (const line of child.iterable()) this.#options.onLine(line)
    await child
  }
}
