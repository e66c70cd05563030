import { setImmediate as turn } from 'node:timers/promises'
import { LineSession } from '../../system/line-session.ts'

interface WaitingWrite {
  readonly lines: readonly string[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** How long the kernel may take for what is written together. */
const ANSWER_MS = 2_000

/** A long-lived `ipset`, to which a line costs a fiftieth of a process. Lines that arrive while it writes are written together. */
export class IpsetSession {
  readonly #session: LineSession
  #waiting: WaitingWrite[] = []
  #writing = false

  constructor(answerMs = ANSWER_MS) {
    // It buffers its output: without stdbuf an answer waits until four kilobytes are full.
    this.#session = new LineSession({
      argv: ['stdbuf', '-o0', 'ipset', '-exist', '-'],
      marker: { question: 'version', answer: /ipset v\S+, protocol version: \d+\n/ },
      onEnd: () => undefined,
      timeoutMs: answerMs,
      restartMs: 100,
    })
  }

  /** Resolves when the kernel has all lines. Rejects when it refused one of the lines that were written together; it is not known which. */
  write(lines: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ lines, resolve, reject })
      if (!this.#writing) void this.#writeAll()
    })
  }

  /** Starts the process, so that the first write need not wait for it. */
  async open(): Promise<void> {
    await this.write([]).catch(() => undefined)
  }

  close(): Promise<void> {
    return this.#session.close()
  }

  async #writeAll(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      // Lines of answers that arrived in the same turn of the event loop are written too.
      await turn()
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#session.ask(batch.flatMap(({ lines }) => lines).join('\n'))
        // Complaints are printed before the answer, on another pipe: both are read within one turn.
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
