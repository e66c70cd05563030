import type { UpstreamServer } from '../config/model.ts'
import type { Result } from './pending.ts'
import { StreamUpstream } from './stream-upstream.ts'
import { RCODE } from './types.ts'
import { UdpUpstream } from './udp-upstream.ts'
import {
  encodeUpstream,
  hasCapitals,
  isCut,
  questionEnd,
  rcodeOf,
  type UpstreamQuestion,
} from './upstream-message.ts'

/** How long a silent server stands behind the others before one question tries it again. */
const PENALTY_MS = 30_000
/** So many answers in a row in another case, before it is believed that the server knows no better. */
const CASE_LOSSES = 3

/** Undefined: it gave none by then. Called once; must not throw. */
type Answered = (message: Buffer | undefined) => void

/** One question to this server, and how it is asked next. */
interface Asking {
  readonly question: UpstreamQuestion
  readonly untilMs: number
  readonly done: Answered
  /** It was silent to the same question a moment ago. */
  readonly again: boolean
  byStream: boolean
  edns: boolean
  reopened: boolean
  readonly messagesBefore: number
}

/** One server with what is remembered of it. */
export class Server {
  readonly text: string
  /** It answered the last time that it mattered. */
  up = true
  answers = 0
  failures = 0
  /** Monotonic ms until which others go first; 0 for a server that answers. */
  silentUntilMs = 0
  readonly #datagrams: UdpUpstream | undefined
  readonly #stream: StreamUpstream
  /** It understands no extended DNS. */
  #plain = false
  #caseLosses = 0
  /** It changes the case of letters whatever one asks. */
  #losesCase = false
  #messages = 0
  /** Monotonic ms until which each question goes alone: one was answered that way to which it was silent before. */
  #aloneUntilMs = 0
  #closed = false

  constructor(
    { kind, host, port, name }: UpstreamServer,
    ca: string | undefined,
    private readonly nowMs: () => number,
  ) {
    this.text = textOf({ kind, host, port, name })
    this.#datagrams = kind === 'plain' ? new UdpUpstream(host, port) : undefined
    const tlsName = kind === 'tls' ? (name ?? host) : undefined
    this.#stream = new StreamUpstream({ host, port, tlsName, ca })
  }

  get isIdle(): boolean {
    return this.#stream.isIdle && (this.#datagrams?.isIdle ?? true)
  }

  /** Asks until one answer is the whole of it. By callbacks: of promises each question would need ten. */
  ask(question: UpstreamQuestion, untilMs: number, done: Answered, again = false): void {
    this.#try({
      question,
      untilMs,
      done,
      again,
      byStream: this.#datagrams === undefined,
      edns: !this.#plain,
      reopened: false,
      messagesBefore: this.#messages,
    })
  }

  /** Takes it that one question is about to try the server, if its time behind the others is over. */
  takeTrial(nowMs: number): boolean {
    if (this.silentUntilMs === 0 || this.silentUntilMs > nowMs) return false
    this.silentUntilMs = nowMs + PENALTY_MS
    return true
  }

  tick(nowMs: number): void {
    this.#datagrams?.tick(nowMs)
    this.#stream.tick(nowMs)
  }

  /** Ends what is on the way. */
  close(): void {
    this.#closed = true
    this.#datagrams?.close()
    this.#stream.close()
  }

  #try(asking: Asking): void {
    const { question, untilMs, byStream, edns, again } = asking
    const nowMs = this.nowMs()
    if (this.#closed || nowMs >= untilMs) return this.#giveUp(asking)
    const message = encodeUpstream(question, edns)
    const finish = (result: Result): void => {
      if (result.kind === 'answer') {
        if (again) this.#aloneUntilMs = this.nowMs() + PENALTY_MS
        this.#heard(result.keepsCase, message, byStream)
        this.#weigh(asking, result.message, result.keepsCase)
        return
      }
      const mayReopen = result.kind === 'ended' && !asking.reopened
      asking.reopened ||= mayReopen
      // Whoever says so is in the midst of leaving the socket by which the next try would go.
      queueMicrotask(() => (mayReopen ? this.#try(asking) : this.#giveUp(asking)))
    }
    const alone = again || nowMs < this.#aloneUntilMs
    const sending = { message, end: questionEnd(question.name), sentMs: nowMs, untilMs, alone, finish }
    if (byStream || !this.#datagrams) this.#stream.ask(sending)
    else this.#datagrams.ask(sending)
  }

  /** Every try but the last gives up datagrams, extended DNS or a connection for good, so there are four at the most. */
  #weigh(asking: Asking, message: Buffer, keepsCase: boolean): void {
    const rcode = rcodeOf(message)
    const isComplaint = rcode === RCODE.formErr || rcode === RCODE.notImp
    if (!asking.byStream && (isCut(message) || !(keepsCase || this.#losesCase))) {
      asking.byStream = true
      return this.#try(asking)
    }
    if (asking.edns && isComplaint) {
      asking.edns = false
      return this.#try(asking)
    }
    // Only what helped is remembered: some questions are refused in any form, and who asks them must not take extended DNS from all others.
    if (!isComplaint && !asking.edns) this.#plain = true
    if (isCut(message) || message.readUInt16BE(4) !== 1) return this.#giveUp(asking)
    this.answers++
    asking.done(message)
  }

  #giveUp({ done, messagesBefore }: Asking): void {
    if (!this.#closed) this.#failed(messagesBefore)
    done(undefined)
  }

  #heard(keepsCase: boolean, sent: Buffer, byStream: boolean): void {
    this.#messages++
    this.up = true
    this.silentUntilMs = 0
    if (byStream || this.#losesCase) return
    if (!keepsCase) this.#losesCase = ++this.#caseLosses >= CASE_LOSSES
    // One that can keep case does: then those that did not were somebody else's.
    else if (this.#caseLosses > 0 && hasCapitals(sent)) this.#caseLosses = 0
  }

  /** A server that answered others meanwhile is not silent: what a container asks must not decide whom all others ask. */
  #failed(messagesBefore: number): void {
    this.failures++
    if (this.#messages !== messagesBefore) return
    this.up = false
    this.silentUntilMs = this.nowMs() + PENALTY_MS
  }
}

function textOf({ kind, host, port, name }: UpstreamServer): string {
  const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  if (kind === 'plain') return place
  return name === undefined ? `tls://${place}` : `tls://${place}#${name}`
}
