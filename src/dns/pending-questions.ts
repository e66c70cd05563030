import { RCODE } from './codes.ts'
import { HEADER_BYTES, isResponse, questionsIn, rcodeOf } from './header.ts'
import { compareQuestion } from './question.ts'
import { random16 } from './random.ts'

/** What came of one question to one server over one socket. */
export type SocketResult =
  /** `keepsCase`: it repeats the question letter by letter. By UDP anybody may have sent one that does not. */
  { readonly kind: 'answer'; readonly message: Buffer; readonly keepsCase: boolean } | SocketFailure

export type SocketFailure =
  /** `rubbish`: something with the right id, or too short for one, came and did not answer the question. */
  | { readonly kind: 'silence'; readonly rubbish: boolean }
  | { readonly kind: 'unreachable'; readonly detail: string }
  /** The server ended a connection that stood before it answered, as servers do with old ones. A new connection may bring the answer. */
  | { readonly kind: 'ended' }

/** One question on its way. */
export interface PendingQuestion {
  /** With room for the id, which the socket chooses. */
  readonly message: Buffer
  /** Where the question ends in it. */
  readonly end: number
  readonly sentMs: number
  readonly untilMs: number
  /** It shares no packet with other questions: a program that reads packets without the kernel's help may have taken the last one for something else. */
  readonly alone: boolean
  rubbish: boolean
  /** Called once. Must not throw. */
  readonly finish: (result: SocketResult) => void
}

/** Questions on their way over one socket, by their ids. */
export class PendingQuestions {
  readonly #byId = new Map<number, PendingQuestion>()

  get size(): number {
    return this.#byId.size
  }

  /** Gives the message an id that is free here. */
  add(question: PendingQuestion): void {
    let id = random16()
    while (this.#byId.has(id)) id = random16()
    question.message.writeUInt16BE(id, 0)
    this.#byId.set(id, question)
  }

  /** A message that answers no question is passed over: it may be a forger's guess. Never throws. */
  receive(message: Buffer): void {
    if (message.length < HEADER_BYTES) {
      for (const question of this.#byId.values()) question.rubbish = true
      return
    }
    const id = message.readUInt16BE(0)
    const question = this.#byId.get(id)
    if (!question) return
    const match = compareQuestion(question.message, question.end, message)
    if (match === 'other' && !isFormatError(message)) {
      question.rubbish = true
      return
    }
    this.#byId.delete(id)
    question.finish({ kind: 'answer', message, keepsCase: match !== 'other-case' })
  }

  /** Ends what is overdue. Returns the monotonic ms at which the last of it was sent; undefined where nothing was. */
  expire(nowMs: number): number | undefined {
    let lastSentMs: number | undefined
    for (const [id, { untilMs, sentMs, rubbish, finish }] of this.#byId) {
      if (untilMs > nowMs) continue
      this.#byId.delete(id)
      lastSentMs = Math.max(lastSentMs ?? sentMs, sentMs)
      finish({ kind: 'silence', rubbish })
    }
    return lastSentMs
  }

  fail(failure: SocketFailure): void {
    const all = [...this.#byId.values()]
    this.#byId.clear()
    for (const { finish } of all) finish(failure)
  }
}

/** A server that cannot read the question may leave it out of its answer. */
function isFormatError(message: Buffer): boolean {
  if (!isResponse(message) || questionsIn(message) !== 0) return false
  const rcode = rcodeOf(message)
  return rcode === RCODE.formErr || rcode === RCODE.notImp
}
