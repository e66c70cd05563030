import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import { Frames } from './frames.ts'
import { PendingQuestions, type PendingQuestion } from './pending-questions.ts'

/** An open connection with nothing on its way is closed after this. */
const IDLE_MS = 10_000

export interface StreamServer {
  readonly host: string
  readonly port: number
  /** TLS, with this name or address in the certificate; undefined: plain TCP. */
  readonly tlsName: string | undefined
  /** Certificates to trust, PEM; undefined: the public authorities that Node trusts. */
  readonly ca: string | undefined
}

/** Asks one server over a connection that stays open: many questions at a time, answers in any order. */
export class StreamTransport {
  #connection: Connection | undefined
  /** Connections that are asked nothing new, with questions on their way. */
  readonly #retired = new Set<Connection>()

  constructor(private readonly server: StreamServer) {}

  get isIdle(): boolean {
    return this.#retired.size === 0 && (this.#connection?.isIdle ?? true)
  }

  /** No connection is open. */
  get isClosed(): boolean {
    return this.#retired.size === 0 && (this.#connection?.closed ?? true)
  }

  ask(question: PendingQuestion): void {
    let connection = this.#connection
    if (!connection?.usable) {
      if (connection && !connection.closed) this.#retired.add(connection)
      connection = new Connection(this.server)
      this.#connection = connection
    }
    connection.ask(question)
  }

  /** To be called every now and then: ends what is overdue and closes connections that are not needed. */
  tick(nowMs: number): void {
    this.#connection?.tick(nowMs)
    for (const connection of this.#retired) {
      connection.tick(nowMs)
      if (connection.closed) this.#retired.delete(connection)
    }
  }

  close(): void {
    this.#connection?.close()
    for (const connection of this.#retired) connection.close()
    this.#retired.clear()
  }
}

class Connection {
  closed = false
  readonly #socket: Socket
  readonly #pending = new PendingQuestions()
  #isOpen = false
  /** Monotonic ms; of the last question. */
  #askedMs = 0
  /** Something arrived since the last tick. */
  #hasReceived = false
  /** Monotonic ms of the last tick that found something new. */
  #receivedMs = Number.NEGATIVE_INFINITY
  /** A question was not answered and nothing else came since it was sent: the connection may have died without a word, as those through a NAT do. */
  #isMute = false
  #isCorked = false

  constructor({ host, port, tlsName, ca }: StreamServer) {
    this.#socket =
      tlsName === undefined
        ? connectTcp({ host, port, noDelay: true })
        : connectTls({
            host,
            port,
            // An address is no server name in TLS (RFC 6066); the certificate has to bear it all the same.
            ...(isIP(tlsName) === 0 ? { servername: tlsName } : {}),
            checkServerIdentity: (_host, certificate) => checkServerIdentity(tlsName, certificate),
            // Said here so that no environment variable says otherwise.
            rejectUnauthorized: true,
            ...(ca === undefined ? {} : { ca }),
          })
    this.#socket.setNoDelay(true)
    const frames = new Frames((frame) => this.#pending.receive(frame))
    this.#socket.on(tlsName === undefined ? 'connect' : 'secureConnect', () => {
      this.#isOpen = true
    })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#hasReceived = true
      frames.push(chunk)
    })
    this.#socket.on('error', (error) => this.close(error.message))
    for (const event of ['end', 'close']) this.#socket.on(event, () => this.close())
  }

  get usable(): boolean {
    return !this.closed && !this.#isMute
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  ask(question: PendingQuestion): void {
    this.#askedMs = question.sentMs
    this.#pending.add(question)
    const framed = Buffer.allocUnsafe(2 + question.message.length)
    framed.writeUInt16BE(question.message.length)
    question.message.copy(framed, 2)
    this.#corkForThisTurn()
    // The socket keeps it until it is connected and its certificate was checked.
    this.#socket.write(framed)
  }

  tick(nowMs: number): void {
    if (this.#hasReceived) this.#receivedMs = nowMs
    this.#hasReceived = false
    const expiredSentMs = this.#pending.expire(nowMs)
    if (expiredSentMs !== undefined && this.#receivedMs < expiredSentMs) this.#isMute = true
    if (this.isIdle && (this.#isMute || nowMs - this.#askedMs > IDLE_MS)) this.close()
  }

  close(why = 'the server closed the connection'): void {
    if (this.closed) return
    this.closed = true
    this.#socket.destroy()
    this.#pending.fail(this.#isOpen ? { kind: 'ended' } : { kind: 'unreachable', detail: why })
  }

  /** What is asked in one turn of the event loop leaves in one packet. */
  #corkForThisTurn(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#socket.cork()
    setImmediate(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
  }
}
