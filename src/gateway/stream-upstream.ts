import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { Frames } from '../resolve/frames.ts'
import { Pending, type Result } from './pending.ts'

/** An open connection with nothing on its way is closed after this. */
const IDLE_MS = 10_000

export interface StreamServer {
  readonly host: string
  readonly port: number
  /** TLS, with this name in the certificate; undefined: plain TCP. */
  readonly tlsName: string | undefined
  /** Certificates to trust; undefined: those that everybody trusts. */
  readonly ca: string | undefined
}

/** Asks one server over a connection that stays open: many questions at a time, answers in any order. */
export class StreamUpstream {
  #connection: Connection | undefined
  #closed = false

  constructor(private readonly server: StreamServer) {}

  ask(message: Buffer, end: number, untilMs: number, finish: (result: Result) => void): void {
    if (this.#closed) return finish({ kind: 'unreachable' })
    if (!this.#connection || this.#connection.closed) this.#connection = new Connection(this.server)
    this.#connection.ask(message, end, untilMs, finish)
  }

  tick(nowMs: number): void {
    this.#connection?.tick(nowMs)
    if (this.#connection?.closed) this.#connection = undefined
  }

  close(): void {
    this.#closed = true
    this.#connection?.close()
  }
}

class Connection {
  closed = false
  readonly #socket: Socket
  readonly #pending = new Pending(true)
  #lastMs = performance.now()
  #heardMs = 0

  constructor({ host, port, tlsName, ca }: StreamServer) {
    this.#socket =
      tlsName === undefined
        ? connectTcp({ host, port, noDelay: true })
        : connectTls({ host, port, servername: tlsName, ...(ca === undefined ? {} : { ca }) })
    const frames = new Frames((frame) => this.#pending.received(frame))
    this.#socket.on('data', (chunk: Buffer) => {
      this.#heardMs = performance.now()
      frames.push(chunk)
    })
    this.#socket.on('error', () => this.close())
    this.#socket.on('close', () => this.close())
  }

  ask(message: Buffer, end: number, untilMs: number, finish: (result: Result) => void): void {
    this.#lastMs = performance.now()
    this.#pending.add(message, end, untilMs, finish)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    // Kept by the socket until it is connected (and its certificate was looked at).
    this.#socket.write(Buffer.concat([length, message]))
  }

  tick(nowMs: number): void {
    const askedMs = this.#pending.expire(nowMs)
    // The other end may be gone without a word: the kernel would try for a quarter of an hour.
    if (askedMs !== undefined && this.#heardMs < askedMs) this.close()
    if (this.#pending.size === 0 && nowMs - this.#lastMs > IDLE_MS) this.close()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#socket.destroy()
    this.#pending.fail()
  }
}
