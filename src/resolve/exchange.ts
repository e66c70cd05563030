import { randomInt } from 'node:crypto'
import { readAnswer, type Answer } from './answer.ts'
import { encodeQuestion, type Question } from './question.ts'
import type { ServerAddress } from './server-address.ts'

/** One try: a message to one server, and what came back that answers it. */
export type ExchangeResult =
  | Exclude<Answer, { kind: 'unrelated' }>
  /** `rubbish`: something arrived, but nothing that answers the question. */
  | { readonly kind: 'silence'; readonly rubbish: boolean }
  /** The socket said so: connection refused, network unreachable. */
  | { readonly kind: 'unreachable'; readonly detail: string }

export interface Try {
  readonly server: ServerAddress
  readonly question: Question
  readonly edns: boolean
  readonly timeoutMs: number
  /** Any of them ends the try early, with `silence`. (Not AbortSignal.any: on a signal that lives for days Node 20 keeps a trace of each.) */
  readonly signals: readonly AbortSignal[]
}

/** A fresh id and the message that bears it. */
export function messageOf(attempt: Try): { readonly id: number; readonly message: Buffer } {
  const id = randomInt(0x1_0000)
  return { id, message: encodeQuestion(attempt.question, id, attempt.edns) }
}

/** Collects what arrives until something answers, then closes; also the one place where a try can end twice and must not. */
export class Waiting {
  #rubbish = false
  #settled = false
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = (): void => this.settle({ kind: 'silence', rubbish: this.#rubbish })

  constructor(
    private readonly attempt: Try,
    private readonly id: number,
    private readonly finish: (result: ExchangeResult) => void,
  ) {
    this.#timer = setTimeout(this.#onAbort, attempt.timeoutMs)
    for (const signal of attempt.signals) {
      signal.addEventListener('abort', this.#onAbort, { once: true })
      if (signal.aborted) queueMicrotask(this.#onAbort)
    }
  }

  received(message: Buffer): void {
    if (this.#settled) return
    const answer = readAnswer(message, this.id, this.attempt.question)
    if (answer.kind === 'unrelated') this.#rubbish = true
    else this.settle(answer)
  }

  settle(result: ExchangeResult): void {
    if (this.#settled) return
    this.#settled = true
    clearTimeout(this.#timer)
    for (const signal of this.attempt.signals) signal.removeEventListener('abort', this.#onAbort)
    this.finish(result)
  }
}
