import type { UpstreamServer } from '../config/model.ts'
import { RCODE } from './types.ts'
import { rcodeOf, type UpstreamQuestion } from './upstream-message.ts'
import { Server } from './upstream-server.ts'

/** Nobody gave an answer. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
}

export interface UpstreamHealth {
  readonly server: string
  /** It answered the last question that it was asked. */
  readonly up: boolean
  readonly answers: number
  readonly failures: number
}

export interface UpstreamsOptions {
  /** In the order of preference. */
  readonly servers: readonly UpstreamServer[]
  /** For one question, over all servers and tries. */
  readonly timeoutMs: number
  /** Certificates to trust, PEM; undefined: those that everybody trusts. */
  readonly ca?: string
  /** Monotonic ms. */
  readonly nowMs?: () => number
}

/** One question, and whom to ask it one after the other. */
interface Asking {
  readonly question: UpstreamQuestion
  readonly deadlineMs: number
  readonly servers: readonly Server[]
  /** With what the first of them said that would not answer; undefined: nobody said anything. */
  readonly end: (message: Buffer | undefined) => void
}

/** No server is waited for longer, as long as there is another try. */
const PATIENCE_MS = 1_000
/** How late a time limit may be noticed: one timer for all questions, since one each would cost as much as sending it. */
const TICK_MS = 50
const MOST_ON_THE_WAY = 10_000

/** Asks name servers on behalf of containers: whatever they ask, as bytes. */
export class Upstreams {
  #servers: readonly Server[]
  /** No longer asked; closed when what is on its way to them is done. */
  #leaving: readonly Server[] = []
  #timeoutMs: number
  readonly #ca: string | undefined
  readonly #nowMs: () => number
  readonly #timer: NodeJS.Timeout
  #onTheWay = 0
  #closed = false
  #inVain = 0
  #refusal: number | undefined

  constructor({ servers, timeoutMs, ca, nowMs = () => performance.now() }: UpstreamsOptions) {
    this.#ca = ca
    this.#nowMs = nowMs
    this.#servers = eachOnce(servers).map((server) => new Server(server, ca, nowMs))
    this.#timeoutMs = timeoutMs
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#timer.unref()
  }

  /** From the next question on; what is on its way is not disturbed, and what is known of servers that stay is kept. */
  setServers(servers: readonly UpstreamServer[], timeoutMs: number = this.#timeoutMs): void {
    this.#timeoutMs = timeoutMs
    const before = new Map(this.#servers.map((server) => [server.text, server]))
    this.#servers = eachOnce(servers).map((wanted) => {
      const fresh = new Server(wanted, this.#ca, this.#nowMs)
      const known = before.get(fresh.text)
      before.delete(fresh.text)
      return known ?? fresh
    })
    this.#leaving = [...this.#leaving, ...before.values()]
  }

  /** So many questions in a row ended without an answer that says what there is, or that there is nothing. */
  get inVain(): number {
    return this.#inVain
  }

  /** The code of what came instead at the last of those; undefined: nothing came. */
  get refusal(): number | undefined {
    return this.#refusal
  }

  health(): UpstreamHealth[] {
    return this.#servers.map(({ text, up, answers, failures }) => ({ server: text, up, answers, failures }))
  }

  /**
   * Calls `done` once, with the whole answer, whose id and question are those that were sent. A server that fails or refuses is no reason to give up while there is
   * another one; where all do, what the first of them said is the answer. An UpstreamError says that nobody answered in time, or at once that too many questions are
   * on the way. By a callback, since of promises each question would need some: `done` must not throw.
   */
  ask(question: UpstreamQuestion, done: (result: Buffer | UpstreamError) => void): void {
    if (this.#closed) return done(new UpstreamError('closed'))
    if (this.#onTheWay >= MOST_ON_THE_WAY) return done(new UpstreamError('too many questions on the way'))
    const ranked = this.#ranked()
    if (ranked.length === 0) return done(new UpstreamError('there is no name server to ask'))
    const nowMs = this.#nowMs()
    this.#tryAgain(ranked, question, nowMs)
    this.#onTheWay++
    // A datagram may be lost: a lone server that is silent is asked twice.
    const left = ranked.length === 1 ? [...ranked, ...ranked] : ranked
    const end = (message: Buffer | undefined): void => {
      this.#onTheWay--
      if (!this.#closed) this.#book(message)
      if (message && !this.#closed) done(message)
      else done(new UpstreamError(this.#closed ? 'closed' : 'no upstream answered in time'))
    }
    this.#askInTurn({ question, deadlineMs: nowMs + this.#timeoutMs, servers: left, end }, 0, undefined)
  }

  #book(message: Buffer | undefined): void {
    const isUseful = message !== undefined && isUsefulCode(rcodeOf(message))
    this.#inVain = isUseful ? 0 : this.#inVain + 1
    this.#refusal = isUseful || message === undefined ? undefined : rcodeOf(message)
  }

  /** Nothing that is on the way gets an answer. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const server of [...this.#servers, ...this.#leaving]) server.close()
  }

  /** @param refusal what the first of those said that would not answer */
  #askInTurn(asking: Asking, index: number, refusal: Buffer | undefined): void {
    const { question, deadlineMs, servers, end } = asking
    const server = servers[index]
    const nowMs = this.#nowMs()
    const leftMs = deadlineMs - nowMs
    if (!server || leftMs <= 0 || this.#closed) return end(refusal)
    const isLast = index === servers.length - 1
    const patienceMs = isLast ? leftMs : Math.min(PATIENCE_MS, leftMs / 3)
    const answered = (message: Buffer | undefined): void => {
      if (message && isUsefulCode(rcodeOf(message))) return end(message)
      // To ask it again would bring the same.
      if (message && servers[index + 1] === server) return end(message)
      this.#askInTurn(asking, index + 1, refusal ?? message)
    }
    server.ask(question, nowMs + patienceMs, answered, servers[index - 1] === server)
  }

  /** The configured order, but those that were silent lately come last. */
  #ranked(): readonly Server[] {
    if (this.#servers.every(({ silentUntilMs }) => silentUntilMs === 0)) return this.#servers
    const first = this.#servers.filter(({ silentUntilMs }) => silentUntilMs === 0)
    return [...first, ...this.#servers.filter((server) => !first.includes(server))]
  }

  /** One question tries servers whose time behind the others is over, beside the one that is asked: nobody waits for a server that is still silent. */
  #tryAgain([, ...others]: readonly Server[], question: UpstreamQuestion, nowMs: number): void {
    for (const server of others)
      if (server.takeTrial(nowMs)) server.ask(question, nowMs + PATIENCE_MS, () => undefined)
  }

  #tick(): void {
    const nowMs = this.#nowMs()
    for (const server of [...this.#servers, ...this.#leaving]) server.tick(nowMs)
    if (this.#leaving.length === 0) return
    for (const server of this.#leaving) if (server.isIdle) server.close()
    this.#leaving = this.#leaving.filter((server) => !server.isIdle)
  }
}

const isUsefulCode = (rcode: number): boolean => rcode === RCODE.noError || rcode === RCODE.nxDomain

/** Who is named twice is one server. */
const eachOnce = (servers: readonly UpstreamServer[]): UpstreamServer[] => [
  ...new Map(servers.map((server) => [JSON.stringify(server), server])).values(),
]
