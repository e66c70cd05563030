import { compareQuestion, randomId } from './upstream-message.ts'

/** What came of one question to one server over one socket. */
export type Result =
  /** `keepsCase`: it repeats the question letter by letter. By UDP anybody may have sent one that does not. */
  | { readonly kind: 'answer'; readonly message: Buffer; readonly keepsCase: boolean }
  | { readonly kind: 'silence' | 'unreachable' }
  /** A connection that stood was ended before the answer, as servers do with old ones: a new one may do. */
  | { readonly kind: 'ended' }

/** One question on its way. */
export interface Sending {
  /** With room for the id, which the socket chooses. */
  readonly message: Buffer
  /** Where the question ends in it. */
  readonly end: number
  readonly sentMs: number
  readonly untilMs: number
  /** It shares its way with no other: whoever reads packets without the kernel's help may have taken the last one for something else. */
  readonly alone: boolean
  /** Called once. Must not throw. */
  readonly finish: (result: Result) => void
}

/** Questions on their way over one socket, by their ids. */
export class Pending {
  readonly #waiting = new Map<number, Sending>()

  get size(): number {
    return this.#waiting.size
  }

  /** Gives the message an id that is free here. */
  add(sending: Sending): void {
    let id = randomId()
    while (this.#waiting.has(id)) id = randomId()
    sending.message.writeUInt16BE(id, 0)
    this.#waiting.set(id, sending)
  }

  /** What answers nothing that was asked is passed over: somebody may be guessing. Never throws. */
  received(message: Buffer): void {
    if (message.length < 12) return
    const id = message.readUInt16BE(0)
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    const match = compareQuestion(waiting.message, waiting.end, message)
    // A server that cannot read the question may leave it out of its answer.
    if (match === 'other' && !isFormatError(message)) return
    this.#waiting.delete(id)
    waiting.finish({ kind: 'answer', message, keepsCase: match !== 'other-case' })
  }

  /** Ends what is overdue. Gives the monotonic ms at which the last of it was sent; undefined if nothing was. */
  expire(nowMs: number): number | undefined {
    let lastSentMs: number | undefined
    for (const [id, { untilMs, sentMs, finish }] of this.#waiting) {
      if (untilMs > nowMs) continue
      this.#waiting.delete(id)
      lastSentMs = Math.max(lastSentMs ?? sentMs, sentMs)
      finish({ kind: 'silence' })
    }
    return lastSentMs
  }

  fail(kind: 'unreachable' | 'ended'): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { finish } of all) finish({ kind })
  }
}

const isFormatError = (message: Buffer): boolean => {
  const flags = message.readUInt16BE(2)
  const rcode = flags & 0x000f
  return (flags & 0xf800) === 0x8000 && message.readUInt16BE(4) === 0 && (rcode === 1 || rcode === 4)
}
