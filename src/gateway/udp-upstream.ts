import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { Pending, type Sending } from './pending.ts'
import { randomBelow } from './upstream-message.ts'

/** So many ports are in use at a time, and any of them may be the next. A power of two. */
const PORTS = 8
/** So many questions leave by one port; then another takes its place. */
const QUESTIONS_PER_PORT = 256

/** Asks one server by UDP, from ports that nobody can foresee. A socket a question would be too dear (50 µs each). */
export class UdpUpstream {
  readonly #ports: UdpPort[] = []
  /** Ports by which nothing leaves any more, with questions on their way. */
  readonly #retired = new Set<UdpPort>()

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  get isIdle(): boolean {
    return this.#retired.size === 0 && this.#ports.every((port) => port.isIdle)
  }

  ask(sending: Sending): void {
    const index = randomBelow(PORTS)
    let port = this.#ports[index]
    if (!port?.usable) {
      if (port) this.#retire(port)
      port = new UdpPort(this.host, this.port)
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

  #retire(port: UdpPort): void {
    if (port.isIdle) port.close()
    else this.#retired.add(port)
  }
}

/** One socket. It is connected, so the kernel lets through only what the server sent from the port that was asked. */
class UdpPort {
  closed = false
  readonly #socket: Socket
  readonly #pending = new Pending()
  #asked = 0
  /** Messages from before the socket was connected. */
  #unsent: Buffer[] | undefined = []

  constructor(host: string, port: number) {
    this.#socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 })
    this.#socket.on('error', () => this.close())
    this.#socket.on('message', (message) => this.#pending.received(message))
    // Not a callback of connect: that one is called for failures too, instead of the error event.
    this.#socket.on('connect', () => {
      const messages = this.#unsent ?? []
      this.#unsent = undefined
      for (const message of messages) this.#send(message)
    })
    this.#socket.connect(port, host)
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
    if (this.#unsent) this.#unsent.push(sending.message)
    else this.#send(sending.message)
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

  #send(message: Buffer): void {
    // What goes wrong comes as an error of the socket, a closed port at the other end too.
    if (!this.closed) this.#socket.send(message)
  }
}
