import { RCODE } from './codes.ts'
import { rcodeOf } from './header.ts'
import { nameServerText, type NameServer } from './name-server.ts'
import { NoAnswer } from './no-answer.ts'
import type { Question } from './question.ts'
import { ServerClient } from './server-client.ts'
import type { PortUse } from './udp-transport.ts'

export interface ServerHealth {
  readonly server: string
  /** It answered the last question that it was asked. */
  readonly up: boolean
  readonly failures: number
}

export interface DnsClientOptions {
  /** In the order of preference. */
  readonly servers: readonly NameServer[]
  /** For one question, over all servers and tries. */
  readonly timeoutMs: number
  readonly ports: PortUse
  /** Certificates to trust, PEM; undefined: the public authorities that Node trusts. */
  readonly ca?: string
  /** Monotonic ms. */
  readonly nowMs?: () => number
}

/**
 * Called once, with the whole answer, whose id and question are those that were sent, and with the address of the server that gave it.
 * By a callback, since each question would need several promises. Must not throw.
 */
export type Done = (result: Buffer | NoAnswer, host: string) => void

/** Can an answer be used, as far as its records can be read? Must not throw. */
export type IsWhole = (message: Buffer) => boolean

/** One question, and the servers that are asked one after the other. */
interface Round {
  readonly question: Question
  readonly deadlineMs: number
  readonly servers: readonly ServerClient[]
  readonly done: Done
  readonly isWhole: IsWhole
  /** The first answer of a server that failed, refused, or said something that cannot be used. */
  refusal: Buffer | undefined
  refusedBy: string
  /** The last failure that was not silence. */
  failure: NoAnswer | undefined
}

/** For many questions a second: ports stay open, so that most questions cost no socket. */
export const MANY_QUESTIONS: PortUse = { ports: 8, questionsPerPort: 256, closesIdle: false }
/** For questions that come one by one, each of which then has a port to itself. */
export const FEW_QUESTIONS: PortUse = { ports: 1, questionsPerPort: 64, closesIdle: true }

/** No server is waited for longer, as long as there is another try. */
const PATIENCE_MS = 1_000
/** How late a time limit may be noticed: there is one timer for all questions, since one each would cost as much as sending it. */
const TICK_MS = 50
const MOST_ON_THE_WAY = 10_000

const CLOSED = new NoAnswer('not-sent', 'closed')
const OVERLOADED = new NoAnswer('not-sent', 'too many questions on the way')
const NO_SERVER = new NoAnswer('not-sent', 'there is no name server to ask')

/**
 * Asks name servers whatever it is given, by UDP, TCP or TLS. It takes only answers that come from the asked server and repeat the question, and never part of one.
 * A server that was silent stands behind the others for a while.
 */
export class DnsClient {
  #servers: readonly ServerClient[]
  /** No longer asked; closed when what is on its way to them has ended. */
  #leaving: readonly ServerClient[] = []
  #timeoutMs: number
  readonly #ports: PortUse
  readonly #ca: string | undefined
  readonly #nowMs: () => number
  /** Runs while a socket is open. */
  #timer: NodeJS.Timeout | undefined
  #onTheWay = 0
  #closed = false
  #failuresInARow = 0
  #lastRefusal: number | undefined

  constructor({ servers, timeoutMs, ports, ca, nowMs = () => performance.now() }: DnsClientOptions) {
    this.#ports = ports
    this.#ca = ca
    this.#nowMs = nowMs
    this.#servers = withoutDoubles(servers).map((server) => new ServerClient(server, ports, ca, nowMs))
    this.#timeoutMs = timeoutMs
  }

  /** From the next question on. Questions on their way are not disturbed, and what is known of servers that stay is kept. */
  setServers(servers: readonly NameServer[], timeoutMs: number = this.#timeoutMs): void {
    this.#timeoutMs = timeoutMs
    const before = new Map(this.#servers.map((server) => [server.text, server]))
    this.#servers = withoutDoubles(servers).map((wanted) => {
      const text = nameServerText(wanted)
      const known = before.get(text)
      before.delete(text)
      return known ?? new ServerClient(wanted, this.#ports, this.#ca, this.#nowMs)
    })
    this.#leaving = [...this.#leaving, ...before.values()]
  }

  /** As many questions in a row ended without an answer that says what there is, or that there is nothing. */
  get failuresInARow(): number {
    return this.#failuresInARow
  }

  /** The response code that came instead at the last of those; undefined: nothing came. */
  get lastRefusal(): number | undefined {
    return this.#lastRefusal
  }

  health(): ServerHealth[] {
    return this.#servers.map(({ text, up, failures }) => ({ server: text, up, failures }))
  }

  /**
   * A server that fails or refuses is no reason to give up while there is another one. Where all do, what the first of them said is the answer, and a NoAnswer
   * where none said anything.
   * @param isWhole false for an answer that is no better than a failure; by default every answer is taken that has a useful response code
   */
  ask(question: Question, done: Done, isWhole: IsWhole = () => true): void {
    if (this.#closed) return done(CLOSED, '')
    if (this.#onTheWay >= MOST_ON_THE_WAY) return done(OVERLOADED, '')
    const ranked = this.#ranked()
    if (ranked.length === 0) return done(NO_SERVER, '')
    const nowMs = this.#nowMs()
    this.#tryAgain(ranked, question, nowMs)
    this.#onTheWay++
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref()
    const round: Round = {
      question,
      deadlineMs: nowMs + this.#timeoutMs,
      // A datagram may be lost: a lone server that is silent is asked twice.
      servers: ranked.length === 1 ? [...ranked, ...ranked] : ranked,
      done,
      isWhole,
      refusal: undefined,
      refusedBy: '',
      failure: undefined,
    }
    this.#askInTurn(round, 0)
  }

  /** What is on the way gets no answer. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const server of [...this.#servers, ...this.#leaving]) server.close()
  }

  #askInTurn(round: Round, index: number): void {
    const { question, deadlineMs, servers } = round
    const server = servers[index]
    const nowMs = this.#nowMs()
    const leftMs = deadlineMs - nowMs
    if (!server || leftMs <= 0 || this.#closed) return this.#endWithout(round)
    const isLast = index === servers.length - 1
    const patienceMs = isLast ? leftMs : Math.min(PATIENCE_MS, leftMs / 3)
    const answered = (result: Buffer | NoAnswer): void => {
      if (!(result instanceof NoAnswer)) {
        // The same server would say the same again.
        const isUseful = isUsefulCode(rcodeOf(result)) && round.isWhole(result)
        if (isUseful || servers[index + 1] === server) return this.#end(round, result, server.host, isUseful)
        if (!round.refusal) round.refusedBy = server.host
        round.refusal ??= result
      } else if (result.kind !== 'timeout')
        round.failure = new NoAnswer(result.kind, withHost(result.message, server.host))
      this.#askInTurn(round, index + 1)
    }
    server.ask(question, nowMs + patienceMs, answered, servers[index - 1] === server)
  }

  #endWithout(round: Round): void {
    const { refusal, refusedBy, failure, servers } = round
    if (refusal) return this.#end(round, refusal, refusedBy)
    const hosts = [...new Set(servers.map(({ host }) => host))].join(', ')
    this.#end(round, failure ?? new NoAnswer('timeout', `no answer in time from ${hosts}`), '')
  }

  #end({ done }: Round, result: Buffer | NoAnswer, host: string, isUseful = false): void {
    this.#onTheWay--
    if (this.#closed) return done(CLOSED, '')
    const rcode = result instanceof NoAnswer ? undefined : rcodeOf(result)
    this.#failuresInARow = isUseful ? 0 : this.#failuresInARow + 1
    this.#lastRefusal = rcode === undefined || isUsefulCode(rcode) ? undefined : rcode
    done(result, host)
  }

  /** The configured order, but those that were silent lately come last. */
  #ranked(): readonly ServerClient[] {
    if (this.#servers.every(({ silentUntilMs }) => silentUntilMs === 0)) return this.#servers
    const first = this.#servers.filter(({ silentUntilMs }) => silentUntilMs === 0)
    return [...first, ...this.#servers.filter((server) => !first.includes(server))]
  }

  /** One question tries servers whose time behind the others is over, beside the server that is asked, so that no question waits for a server that is still silent. */
  #tryAgain([, ...others]: readonly ServerClient[], question: Question, nowMs: number): void {
    for (const server of others)
      if (server.takeTrial(nowMs)) server.ask(question, nowMs + PATIENCE_MS, () => undefined)
  }

  #tick(): void {
    const nowMs = this.#nowMs()
    for (const server of [...this.#servers, ...this.#leaving]) server.tick(nowMs)
    for (const server of this.#leaving) if (server.isIdle) server.close()
    this.#leaving = this.#leaving.filter((server) => !server.isIdle)
    if (this.#onTheWay > 0 || ![...this.#servers, ...this.#leaving].every(({ isAtRest }) => isAtRest)) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const isUsefulCode = (rcode: number): boolean => rcode === RCODE.noError || rcode === RCODE.nxDomain

/** Some faults of a socket name the server already. */
const withHost = (detail: string, host: string): string =>
  detail.includes(host) ? detail : `${host}: ${detail}`

const withoutDoubles = (servers: readonly NameServer[]): NameServer[] => [
  ...new Map(servers.map((server) => [nameServerText(server), server])).values(),
]
