import type { UpstreamServer } from '../config/model.ts'
import type { Result } from './pending.ts'
import { StreamUpstream } from './stream-upstream.ts'
import { UdpUpstream } from './udp-upstream.ts'
import { encodeUpstream, isCut, questionEnd, rcodeOf, type UpstreamQuestion } from './upstream-message.ts'
import { RCODE } from './types.ts'

/** Nobody gave an answer. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
}

export interface UpstreamHealth {
  readonly server: string
  /** It answered the last question that it was asked. */
  readonly up: boolean
}

export interface UpstreamsOptions {
  /** In the order of preference. */
  readonly servers: readonly UpstreamServer[]
  /** For one question, over all servers and tries. */
  readonly timeoutMs: number
  /** Certificates to trust, PEM; undefined: those that everybody trusts. */
  readonly ca?: string
}

/** How long a silent server stands behind the others before one question tries it again. */
const PENALTY_MS = 30_000
/** No server is waited for longer, as long as there is another. */
const PATIENCE_MS = 1_000
const TICK_MS = 50
const MOST_ON_THE_WAY = 10_000
/** So often a server has to change the case of letters before it is believed to know no better. */
const CASE_LOSSES = 3

/** One server with what is remembered of it. */
class Server {
  readonly text: string
  readonly datagrams: UdpUpstream | undefined
  readonly stream: StreamUpstream
  /** It knows no extended DNS. */
  plain = false
  up = true
  silentUntilMs = 0
  caseLosses = 0

  constructor({ kind, host, port, name }: UpstreamServer, ca: string | undefined) {
    const place = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
    this.text = kind === 'tls' ? `tls://${place}#${name ?? ''}` : place
    this.datagrams = kind === 'plain' ? new UdpUpstream(host, port) : undefined
    this.stream = new StreamUpstream({ host, port, tlsName: kind === 'tls' ? (name ?? host) : undefined, ca })
  }

  tick(nowMs: number): void {
    this.datagrams?.tick(nowMs)
    this.stream.tick(nowMs)
  }

  close(): void {
    this.datagrams?.close()
    this.stream.close()
  }
}

/** Asks name servers on behalf of containers: whatever they ask, as bytes. */
export class Upstreams {
  #servers: readonly Server[]
  #timeoutMs: number
  readonly #ca: string | undefined
  readonly #timer: NodeJS.Timeout
  #onTheWay = 0
  #closed = false

  constructor({ servers, timeoutMs, ca }: UpstreamsOptions) {
    this.#ca = ca
    this.#servers = servers.map((server) => new Server(server, ca))
    this.#timeoutMs = timeoutMs
    this.#timer = setInterval(() => {
      const nowMs = performance.now()
      for (const server of this.#servers) server.tick(nowMs)
    }, TICK_MS)
    this.#timer.unref()
  }

  /** From the next question on; what is on its way to servers that stay is not disturbed. */
  setServers(servers: readonly UpstreamServer[], timeoutMs: number): void {
    this.#timeoutMs = timeoutMs
    const old = this.#servers
    const before = new Map(old.map((server) => [server.text, server]))
    this.#servers = servers.map((wanted) => {
      const fresh = new Server(wanted, this.#ca)
      const known = before.get(fresh.text)
      before.delete(fresh.text)
      return known ?? fresh
    })
    for (const server of old) if (!this.#servers.includes(server)) server.close()
  }

  health(): UpstreamHealth[] {
    return this.#servers.map(({ text, up }) => ({ server: text, up }))
  }

  /**
   * The whole answer, whose id and question are those that were sent. A server that fails or refuses is no reason to give up while there is another one.
   * @throws UpstreamError when nobody answered in time.
   */
  async ask(question: UpstreamQuestion): Promise<Buffer> {
    if (this.#onTheWay >= MOST_ON_THE_WAY) throw new UpstreamError('too many questions are on their way')
    this.#onTheWay++
    try {
      return await this.#askInTurn(question)
    } finally {
      this.#onTheWay--
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const server of this.#servers) server.close()
  }

  async #askInTurn(question: UpstreamQuestion): Promise<Buffer> {
    const startedMs = performance.now()
    const ranked = this.#ranked(startedMs)
    // A datagram may be lost: a lone server that is silent is asked twice.
    const queue = ranked.length === 1 ? [...ranked, ...ranked] : ranked
    const deadlineMs = startedMs + this.#timeoutMs
    let refusal: Buffer | undefined
    for (const [index, server] of queue.entries()) {
      const nowMs = performance.now()
      const isLast = index === queue.length - 1
      const patience = isLast ? deadlineMs - nowMs : Math.min(PATIENCE_MS, (deadlineMs - nowMs) / 2)
      if (patience <= 0 || this.#closed) break
      const message = await this.#askServer(server, question, nowMs + patience)
      if (!message) continue
      const rcode = rcodeOf(message)
      if (rcode === RCODE.noError || rcode === RCODE.nxDomain) return message
      refusal = message
      if (ranked.length === 1) break
    }
    if (refusal) return refusal
    throw new UpstreamError('no upstream answered in time')
  }

  #ranked(nowMs: number): readonly Server[] {
    if (this.#servers.every(({ silentUntilMs }) => silentUntilMs === 0)) return this.#servers
    const first = this.#servers.filter(({ silentUntilMs }) => silentUntilMs <= nowMs)
    const last = this.#servers.filter(({ silentUntilMs }) => silentUntilMs > nowMs)
    // Whose time is over is tried by this one question only.
    for (const server of first) if (server.silentUntilMs > 0) server.silentUntilMs = nowMs + PENALTY_MS
    return [...first, ...last]
  }

  /** Undefined: it gave none. */
  async #askServer(server: Server, question: UpstreamQuestion, untilMs: number): Promise<Buffer | undefined> {
    const end = questionEnd(question.name)
    const attempt = (byStream: boolean, edns: boolean): Promise<Result> =>
      new Promise((resolve) => {
        const message = encodeUpstream(question, edns)
        const path = byStream || !server.datagrams ? server.stream : server.datagrams
        path.ask(message, end, untilMs, resolve)
      })
    let byStream = server.caseLosses >= CASE_LOSSES || !server.datagrams
    let edns = !server.plain
    for (let tries = 0; tries < 3; tries++) {
      const result = await attempt(byStream, edns)
      if (result.kind === 'other-case') {
        server.caseLosses++
        byStream = true
      } else if (result.kind !== 'answer') {
        if (!this.#closed) {
          server.up = false
          server.silentUntilMs = performance.now() + PENALTY_MS
        }
        return undefined
      } else {
        server.up = true
        server.silentUntilMs = 0
        const rcode = rcodeOf(result.message)
        const complains = rcode === RCODE.formErr || rcode === RCODE.notImp
        // Unless it says the same of the plain question: then it is the question that it dislikes.
        if (!complains && !edns) server.plain = true
        if (complains && edns) edns = false
        else if (isCut(result.message) && !byStream) byStream = true
        else return result.message.readUInt16BE(4) === 1 ? result.message : undefined
      }
    }
    return undefined
  }
}
