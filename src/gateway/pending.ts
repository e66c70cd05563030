import { compareQuestion, randomId } from './upstream-message.ts'

/** What came of one question to one server. */
export type Result =
  | { readonly kind: 'answer'; readonly message: Buffer }
  /** It answers, but does not keep the case of letters: by UDP anybody may have sent it. */
  | { readonly kind: 'other-case' }
  | { readonly kind: 'silence' | 'unreachable' }

interface Waiting {
  readonly message: Buffer
  readonly end: number
  readonly finish: (result: Result) => void
  readonly askedMs: number
  readonly untilMs: number
}

/** Questions on their way over one socket, by their ids. */
export class Pending {
  readonly #waiting = new Map<number, Waiting>()

  /** @param isPrivate over a connection nobody else can answer, so what a server does to letters is of no matter */
  constructor(private readonly isPrivate: boolean) {}

  get size(): number {
    return this.#waiting.size
  }

  /** Gives the message an id that is free here. */
  add(message: Buffer, end: number, untilMs: number, finish: (result: Result) => void): void {
    let id = randomId()
    while (this.#waiting.has(id)) id = randomId()
    message.writeUInt16BE(id, 0)
    this.#waiting.set(id, { message, end, finish, askedMs: performance.now(), untilMs })
  }

  /** What answers nothing that was asked is passed over: somebody may be guessing. */
  received(message: Buffer): void {
    if (message.length < 12) return
    const id = message.readUInt16BE(0)
    const waiting = this.#waiting.get(id)
    if (!waiting) return
    const match = compareQuestion(waiting.message, waiting.end, message)
    // A server that cannot read the question may leave it out of its answer.
    const isComplaint = match === 'other' && isFormatError(message)
    if (match === 'other' && !isComplaint) return
    this.#waiting.delete(id)
    waiting.finish(
      match === 'other-case' && !this.isPrivate ? { kind: 'other-case' } : { kind: 'answer', message },
    )
  }

  /** Ends what is overdue. Returns when the last of that was asked. */
  expire(nowMs: number): number | undefined {
    let askedMs: number | undefined
    for (const [id, waiting] of this.#waiting) {
      if (waiting.untilMs > nowMs) continue
      this.#waiting.delete(id)
      askedMs = waiting.askedMs
      waiting.finish({ kind: 'silence' })
    }
    return askedMs
  }

  fail(): void {
    const all = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const waiting of all) waiting.finish({ kind: 'unreachable' })
  }
}

const isFormatError = (message: Buffer): boolean => {
  const flags = message.readUInt16BE(2)
  const rcode = flags & 0x000f
  return (flags & 0x8000) !== 0 && message.readUInt16BE(4) === 0 && (rcode === 1 || rcode === 4)
}
