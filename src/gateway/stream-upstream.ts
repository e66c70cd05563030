import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls } from 'node:tls'
import { Frames } from '../resolve/frames.ts'
import { Pending, type Sending } from './pending.ts'

/** An open connection with nothing on its way is closed after this. */
const IDLE_MS = 10_000

export interface StreamServer {
  readonly host: string
  readonly port: number
  /** TLS, with this name or address in the certificate; undefined: plain TCP. */
  readonly tlsName: string | undefined
  /** Certificates to trust, PEM; undefined: those that everybody trusts. */
  readonly ca: string | undefined
}

/** Asks one server over a connection that stays open: many questions at a time, answers in any order. */
export class StreamUpstream {
  #connection: Connection | undefined
  /** Connections that are asked nothing new, with questions on their way. */
  readonly #retired = new Set<Connection>()

  constructor(private readonly server: StreamServer) {}

  get isIdle(): boolean {
    return this.#retired.size === 0 && (this.#connection?.isIdle ?? true)
  }

  ask(sending: Sending): void {
    let connection = this.#connection
    if (!connection?.usable) {
      if (connection && !connection.closed) this.#retired.add(connection)
      connection = new Connection(this.server)
      this.#connection = connection
    }
    connection.ask(sending)
  }

  /** To be called every now and then: ends what is overdue and closes connections that nobody needs. */
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
  readonly #pending = new Pending()
  #stands = false
  /** Monotonic ms; of the last question. */
  #askedMs = 0
  /** Something arrived since the last tick. */
  #heard = false
  /** Monotonic ms of the last tick that knew of something new. */
  #heardMs = Number.NEGATIVE_INFINITY
  /** It may have died without a word, as connections through a NAT do. */
  #mute = false
  #corked = false

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
    const frames = new Frames((frame) => this.#pending.received(frame))
    this.#socket.on(tlsName === undefined ? 'connect' : 'secureConnect', () => {
      this.#stands = true
    })
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heard = true
      frames.push(chunk)
    })
    for (const event of ['end', 'error', 'close']) this.#socket.on(event, () => this.close())
  }

  get usable(): boolean {
    return !this.closed && !this.#mute
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  ask(sending: Sending): void {
    this.#askedMs = sending.sentMs
    this.#pending.add(sending)
    const framed = Buffer.allocUnsafe(2 + sending.message.length)
    framed.writeUInt16BE(sending.message.length)
    sending.message.copy(framed, 2)
    this.#corkForNow()
    // Kept by the socket until it is connected (and its certificate was looked at).
    this.#socket.write(framed)
  }

  tick(nowMs: number): void {
    if (this.#heard) this.#heardMs = nowMs
    this.#heard = false
    const expiredSentMs = this.#pending.expire(nowMs)
    if (expiredSentMs !== undefined && this.#heardMs < expiredSentMs) this.#mute = true
    if (this.isIdle && (this.#mute || nowMs - this.#askedMs > IDLE_MS)) this.close()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#socket.destroy()
    this.#pending.fail(this.#stands ? 'ended' : 'unreachable')
  }

  /** What is asked in one turn of the loop leaves in one packet. */
  #corkForNow(): void {
    if (this.#corked) return
    this.#corked = true
    this.#socket.cork()
    setImmediate(() => {
      this.#corked = false
      this.#socket.uncork()
    })
  }
}
