import { RCODE } from './codes.ts'
import { isTruncated, questionsIn, rcodeOf } from './header.ts'
import { nameServerText, type NameServer } from './name-server.ts'
import { NoAnswer } from './no-answer.ts'
import type { SocketFailure, SocketResult } from './pending-questions.ts'
import { encodeQuestion, hasCapitals, questionEnd, type Question } from './question.ts'
import { StreamTransport } from './stream-transport.ts'
import { UdpTransport, type PortUse } from './udp-transport.ts'

/** How long a silent server stands behind the others before one question tries it again. */
const PENALTY_MS = 30_000
/** After as many answers in a row in another letter case the server is believed to know no better. */
const CASE_LOSSES = 3

/** Called once; must not throw. */
type Answered = (result: Buffer | NoAnswer) => void

/** One question to this server, and how it is asked next. */
interface Attempt {
  readonly question: Question
  readonly untilMs: number
  readonly done: Answered
  /** The server was silent to the same question a moment ago. */
  readonly isRepeated: boolean
  byStream: boolean
  edns: boolean
  hasReopened: boolean
  readonly messagesBefore: number
}

/** One server, with what is remembered of it. */
export class ServerClient {
  readonly text: string
  readonly host: string
  /** It answered the last time that it mattered. */
  up = true
  failures = 0
  /** Monotonic ms until which others go first; 0 for a server that answers. */
  silentUntilMs = 0
  readonly #datagrams: UdpTransport | undefined
  readonly #stream: StreamTransport
  /** It understands no extended DNS. */
  #isPlain = false
  #caseLosses = 0
  /** It changes the case of letters whatever one asks. */
  #losesCase = false
  #messages = 0
  /** Monotonic ms until which each question has a packet to itself: one was answered that way which was not answered before. */
  #aloneUntilMs = 0
  #closed = false

  constructor(
    server: NameServer,
    ports: PortUse,
    ca: string | undefined,
    private readonly nowMs: () => number,
  ) {
    const { kind, host, port, name } = server
    this.text = nameServerText(server)
    this.host = host
    this.#datagrams = kind === 'plain' ? new UdpTransport(host, port, ports) : undefined
    const tlsName = kind === 'tls' ? (name ?? host) : undefined
    this.#stream = new StreamTransport({ host, port, tlsName, ca })
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#stream.isIdle && (this.#datagrams?.isIdle ?? true)
  }

  /** No socket is open, so there is nothing that {@link tick} could do. */
  get isAtRest(): boolean {
    return this.#stream.isClosed && (this.#datagrams?.isClosed ?? true)
  }

  /**
   * Asks until one answer is whole. By callbacks: of promises each question would need ten.
   * @param isRepeated the server was silent to the same question a moment ago
   */
  ask(question: Question, untilMs: number, done: Answered, isRepeated = false): void {
    this.#try({
      question,
      untilMs,
      done,
      isRepeated,
      byStream: this.#datagrams === undefined,
      edns: !this.#isPlain,
      hasReopened: false,
      messagesBefore: this.#messages,
    })
  }

  /** True where the server's time behind the others is over: then the one question that asks so may try it. */
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

  #try(attempt: Attempt): void {
    const { question, untilMs, byStream, edns, isRepeated } = attempt
    const nowMs = this.nowMs()
    if (this.#closed || nowMs >= untilMs) return this.#giveUp(attempt, SILENCE)
    const message = encodeQuestion(question, edns)
    const finish = (result: SocketResult): void => {
      if (result.kind === 'answer') {
        if (isRepeated) this.#aloneUntilMs = this.nowMs() + PENALTY_MS
        this.#noteAnswer(result.keepsCase, message, byStream)
        this.#judge(attempt, result.message, result.keepsCase)
        return
      }
      const mayReopen = result.kind === 'ended' && !attempt.hasReopened
      attempt.hasReopened ||= mayReopen
      // The socket that says so is in the midst of closing, and the next try must not leave by it.
      queueMicrotask(() => (mayReopen ? this.#try(attempt) : this.#giveUp(attempt, result)))
    }
    const alone = isRepeated || nowMs < this.#aloneUntilMs
    const end = questionEnd(question.name)
    const pending = { message, end, sentMs: nowMs, untilMs, alone, rubbish: false, finish }
    if (byStream || !this.#datagrams) this.#stream.ask(pending)
    else this.#datagrams.ask(pending)
  }

  /** Every try but the last gives up datagrams, extended DNS or a connection for good, so there are four at the most. */
  #judge(attempt: Attempt, message: Buffer, keepsCase: boolean): void {
    const rcode = rcodeOf(message)
    const isComplaint = rcode === RCODE.formErr || rcode === RCODE.notImp
    if (!attempt.byStream && (isTruncated(message) || !(keepsCase || this.#losesCase))) {
      attempt.byStream = true
      return this.#try(attempt)
    }
    if (attempt.edns && isComplaint) {
      attempt.edns = false
      return this.#try(attempt)
    }
    // Only what helped is remembered: some questions are refused in any form, and one of those must not take extended DNS from all others.
    if (!isComplaint && !attempt.edns) this.#isPlain = true
    if (isTruncated(message)) return this.#giveUp(attempt, TRUNCATED)
    if (questionsIn(message) !== 1) return this.#giveUp(attempt, RUBBISH)
    attempt.done(message)
  }

  #giveUp({ done, messagesBefore }: Attempt, why: SocketFailure | NoAnswer): void {
    if (!this.#closed) this.#noteFailure(messagesBefore)
    done(why instanceof NoAnswer ? why : noAnswerOf(why))
  }

  #noteAnswer(keepsCase: boolean, sent: Buffer, byStream: boolean): void {
    this.#messages++
    this.up = true
    this.silentUntilMs = 0
    if (byStream || this.#losesCase) return
    if (!keepsCase) this.#losesCase = ++this.#caseLosses >= CASE_LOSSES
    // A server that can keep the case does: so the answers that did not keep it were forged.
    else if (this.#caseLosses > 0 && hasCapitals(sent)) this.#caseLosses = 0
  }

  /** A server that answered other questions meanwhile is not silent: what a container asks must not decide which server all others ask. */
  #noteFailure(messagesBefore: number): void {
    this.failures++
    if (this.#messages !== messagesBefore) return
    this.up = false
    this.silentUntilMs = this.nowMs() + PENALTY_MS
  }
}

// Made once: the stack of an error costs more than a question.
const SILENCE = new NoAnswer('timeout', 'no answer in time')
const RUBBISH = new NoAnswer('malformed', 'what arrived did not answer the question')
const TRUNCATED = new NoAnswer('malformed', 'the answer by TCP is cut off too')
const ENDED = new NoAnswer('unreachable', 'the server closed the connection without an answer')

function noAnswerOf(failure: SocketFailure): NoAnswer {
  if (failure.kind === 'silence') return failure.rubbish ? RUBBISH : SILENCE
  return failure.kind === 'ended' ? ENDED : new NoAnswer('unreachable', failure.detail)
}
