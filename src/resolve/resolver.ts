import { setMaxListeners } from 'node:events'
import type { Family, Hostname } from '../net/types.ts'
import type { Lookup } from './model.ts'
import type { ExchangeResult, Try } from './exchange.ts'
import { exchangeTcp } from './exchange-tcp.ts'
import { questionOf, type Question } from './question.ts'
import { parseServerAddress } from './server-address.ts'
import { ServerOrder, type RankedServer } from './server-order.ts'
import { Slots } from './slots.ts'
import { UdpPorts } from './udp-ports.ts'
import { errorMessage } from '../system/errors.ts'

export interface ResolverOptions {
  /** `address`, `address:port` or `[v6]:port`, in the order of preference. */
  readonly servers: readonly string[]
  /** For one look-up, over all servers and tries. */
  readonly timeoutMs: number
  /** Look-ups on the way at a time; more wait their turn. Default 256. */
  readonly concurrency?: number
  /** Monotonic ms. */
  readonly nowMs?: () => number
}

/**
 * Asks name servers for the addresses of absolute names. Beside what node:dns does, it takes only answers that come from the asked
 * server and repeat the question, only addresses that belong to the name or to the end of its CNAME chain, and never part of an answer.
 */
export class Resolver {
  #servers: ServerOrder
  #timeoutMs: number
  readonly #slots: Slots
  readonly #udp = new UdpPorts()
  readonly #nowMs: () => number
  readonly #closing = new AbortController()

  /** Throws a TypeError for a server that is none. */
  constructor(options: ResolverOptions) {
    setMaxListeners(0, this.#closing.signal)
    this.#servers = new ServerOrder(parseServers(options.servers))
    this.#timeoutMs = options.timeoutMs
    this.#slots = new Slots(options.concurrency ?? 256)
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  /** From the next look-up on. Throws a TypeError for a server that is none. */
  setServers(servers: readonly string[], timeoutMs: number = this.#timeoutMs): void {
    this.#servers = new ServerOrder(parseServers(servers))
    this.#timeoutMs = timeoutMs
  }

  /** Never rejects: what goes wrong is part of the result. NXDOMAIN and an answer without addresses are final; after anything else the next server is asked. */
  async lookup(name: Hostname, family: Family, signal?: AbortSignal): Promise<Lookup> {
    const signals = signal ? [signal, this.#closing.signal] : [this.#closing.signal]
    let question: Question
    try {
      question = questionOf(name, family)
    } catch (error) {
      return { kind: 'error', detail: errorMessage(error) }
    }
    await this.#slots.take()
    try {
      return await this.#ask(question, signals)
    } finally {
      this.#slots.give()
    }
  }

  /** Ends every look-up on the way, as an `error`. */
  close(): void {
    this.#closing.abort()
    this.#udp.close()
  }

  async #ask(question: Question, signals: readonly AbortSignal[]): Promise<Lookup> {
    const order = this.#servers
    const ranked = order.ranked(this.#nowMs())
    if (ranked.length === 0) return { kind: 'error', detail: 'there is no name server to ask' }
    // A datagram may be lost: a lone server that is silent is asked twice.
    const lone = ranked.length === 1
    const queue = lone ? [...ranked, ...ranked] : ranked
    const deadlineMs = this.#nowMs() + this.#timeoutMs
    const asked = [...new Set(ranked.map(({ address }) => address.host))]
    let failure: Lookup = { kind: 'timeout', detail: `no answer in time from ${asked.join(', ')}` }
    for (const [index, server] of queue.entries()) {
      const leftMs = deadlineMs - this.#nowMs()
      if (leftMs <= 0 || calledOff(signals)) break
      const timeoutMs = Math.ceil(leftMs / Math.min(3, queue.length - index))
      const result = await this.#tryServer({ server, order, question, timeoutMs, signals })
      if (calledOff(signals)) break
      const lookup = asLookup(result)
      if (lookup.kind === 'addresses' || lookup.kind === 'empty' || lookup.kind === 'nxdomain') return lookup
      if (lookup.kind !== 'timeout')
        failure = { ...lookup, detail: withServer(lookup.detail, server.address.host) }
      if (lone && result.kind !== 'silence') break
    }
    return calledOff(signals) ? { kind: 'error', detail: 'the look-up was called off' } : failure
  }

  async #tryServer({ server, order, question, timeoutMs, signals }: ServerTry): Promise<ExchangeResult> {
    const endMs = this.#nowMs() + timeoutMs
    // close() ends what is on the way by UDP itself: a listener a question on one signal is dear.
    const forUdp = signals.filter((signal) => signal !== this.#closing.signal)
    const attempt = (listenTo: readonly AbortSignal[]): Try => {
      const leftMs = Math.max(1, endMs - this.#nowMs())
      return { server: server.address, question, edns: !server.plain, timeoutMs: leftMs, signals: listenTo }
    }
    let result = await this.#udp.ask(attempt(forUdp))
    if (result.kind === 'format-error' && !server.plain) {
      server.plain = true
      result = await this.#udp.ask(attempt(forUdp))
    }
    if (result.kind === 'silence' || result.kind === 'unreachable') {
      if (!calledOff(signals)) order.silent(server, this.#nowMs())
    } else order.answered(server)
    return result.kind === 'truncated' ? exchangeTcp(attempt(signals)) : result
  }
}

interface ServerTry {
  readonly server: RankedServer
  readonly order: ServerOrder
  readonly question: Question
  readonly timeoutMs: number
  readonly signals: readonly AbortSignal[]
}

const calledOff = (signals: readonly AbortSignal[]): boolean => signals.some(({ aborted }) => aborted)

/** Some faults of a socket name it already. */
const withServer = (detail: string, host: string): string =>
  detail.includes(host) ? detail : `${host}: ${detail}`

function parseServers(servers: readonly string[]) {
  return servers.map((text) => {
    const address = parseServerAddress(text)
    if (!address)
      throw new TypeError(
        `not a name server: ${JSON.stringify(text)}; write address, address:port or [v6]:port`,
      )
    return address
  })
}

function asLookup(result: ExchangeResult): Lookup {
  switch (result.kind) {
    case 'lookup':
      return result.lookup
    case 'silence':
      return result.rubbish
        ? { kind: 'malformed', detail: 'what arrived did not answer the question' }
        : { kind: 'timeout', detail: 'no answer in time' }
    case 'unreachable':
      return { kind: 'error', detail: result.detail }
    case 'truncated':
      return { kind: 'malformed', detail: 'the answer by TCP is cut off too' }
    case 'format-error':
      return { kind: 'error', detail: 'the server does not understand the question (FORMERR)' }
    default:
      return result satisfies never
  }
}
