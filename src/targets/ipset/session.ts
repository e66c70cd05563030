import { setImmediate as turn } from 'node:timers/promises'
import { LineSession } from '../../system/line-session.ts'

interface WaitingWrite {
  readonly lines: readonly string[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** How long the kernel may take for what is written together. */
const ANSWER_MS = 2_000

/** An `ipset` that stays: a line costs it a fiftieth of a process. What is asked while it writes is written together. */
export class IpsetSession {
  readonly #session: LineSession
  #waiting: WaitingWrite[] = []
  #writing = false

  constructor(answerMs = ANSWER_MS) {
    // Its output is meant for a file: without stdbuf an answer waits for the next four kilobytes.
    this.#session = new LineSession({
      argv: ['stdbuf', '-o0', 'ipset', '-exist', '-'],
      marker: { question: 'version', answer: /ipset v\S+, protocol version: \d+\n/ },
      onEnd: () => undefined,
      timeoutMs: answerMs,
      restartMs: 100,
    })
  }

  /** Resolves when the kernel has all lines. Rejects when it refused one of those that were written together: which, is not known. */
  write(lines: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lines, resolve, reject })
      if (!this.#writing) void this.#writeAll()
    })
  }

  /** Starts it ahead of the first write, which would have to wait. */
  async open(): Promise<void> {
    await this.write([]).catch(() => undefined)
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  async #writeAll(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      // Answers that arrived in the same turn of the loop come along.
      await turn()
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#session.ask(batch.flatMap(({ lines }) => lines).join('\n'))
        // What it complains of was printed before the answer, on another pipe: both are read within one turn.
        await turn()
        if (this.#session.complaint !== '') throw new Error(`writing sets: ${this.#session.complaint}`)
        for (const { resolve } of batch) resolve()
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#writing = false
  }
}
