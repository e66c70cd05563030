import { connectDatagrams } from '../system/datagrams/datagrams.ts'
import type { Datagrams } from '../system/datagrams/model.ts'
import { Pending, type Sending } from './pending.ts'
import { randomBelow } from './upstream-message.ts'

/** So many ports are in use at a time, and any of them may be the next. A power of two. */
const PORTS = 8
/** So many questions of one turn of the loop leave by one port together, in one call of the kernel. */
const QUESTIONS_TOGETHER = 32
/** So many questions leave by one port; then another takes its place. */
const QUESTIONS_PER_PORT = 256
/** Answers wait here while something else is computed. */
const RECEIVE_BYTES = 1 << 20

/** Asks one server by UDP, from ports that nobody can foresee. A socket a question would be too dear (50 µs each). */
export class UdpUpstream {
  readonly #ports: UdpPort[] = []
  /** Ports by which nothing leaves any more, with questions on their way. */
  readonly #retired = new Set<UdpPort>()
  /** By which the next questions of this turn of the loop leave. */
  #chosen = 0
  #left = 0

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  get isIdle(): boolean {
    return this.#retired.size === 0 && this.#ports.every((port) => port.isIdle)
  }

  ask(sending: Sending): void {
    const index = this.#index()
    let port = this.#ports[index]
    if (!port?.usable) {
      if (port) this.#retire(port)
      try {
        port = new UdpPort(this.host, this.port)
      } catch {
        // There is no way to the server now; there may be one for the next question.
        sending.finish({ kind: 'unreachable' })
        return
      }
      this.#ports[index] = port
    }
    port.ask(sending)
  }

  /** To be called every now and then: ends what is overdue and closes ports with nothing on their way. */
  tick(nowMs: number): void {
    for (const port of [...this.#ports, ...this.#retired]) {
      port?.expire(nowMs)
      if (port?.isIdle) port.close()
    }
    for (const port of this.#retired) if (port.closed) this.#retired.delete(port)
  }

  close(): void {
    for (const port of [...this.#ports, ...this.#retired]) port?.close()
    this.#retired.clear()
  }

  #index(): number {
    if (this.#left === 0) {
      this.#chosen = randomBelow(PORTS)
      this.#left = QUESTIONS_TOGETHER
      setImmediate(() => (this.#left = 0))
    }
    this.#left--
    return this.#chosen
  }

  #retire(port: UdpPort): void {
    if (port.isIdle) port.close()
    else this.#retired.add(port)
  }
}

/** One socket. It is connected, so the kernel lets through only what the server sent from the port that was asked. */
class UdpPort {
  closed = false
  readonly #socket: Datagrams
  readonly #pending = new Pending()
  #asked = 0

  /** @throws where there is no way to the server. */
  constructor(host: string, port: number) {
    this.#socket = connectDatagrams({
      host,
      port,
      receiveBytes: RECEIVE_BYTES,
      onMessage: (message) => this.#pending.received(message),
      onError: () => this.close(),
    })
  }

  get usable(): boolean {
    return !this.closed && this.#asked < QUESTIONS_PER_PORT
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  ask(sending: Sending): void {
    this.#asked++
    this.#pending.add(sending)
    this.#socket.send(sending.message, undefined, !sending.alone)
  }

  expire(nowMs: number): void {
    this.#pending.expire(nowMs)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#socket.close()
    this.#pending.fail('unreachable')
  }
}
