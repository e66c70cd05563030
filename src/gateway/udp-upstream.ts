import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { Pending, type Result } from './pending.ts'
import { randomBelow } from './upstream-message.ts'

/** So many ports are in use at a time, and any of them may be the next. */
const PORTS = 8
/** So many questions leave by one port; then another takes its place. */
const QUESTIONS_PER_PORT = 256

/** Asks one server by UDP. */
export class UdpUpstream {
  readonly #ports: UdpPort[] = []
  readonly #retired = new Set<UdpPort>()
  #closed = false

  constructor(
    private readonly host: string,
    private readonly port: number,
  ) {}

  ask(message: Buffer, end: number, untilMs: number, finish: (result: Result) => void): void {
    if (this.#closed) return finish({ kind: 'unreachable' })
    const index = randomBelow(PORTS)
    let port = this.#ports[index]
    if (!port?.usable) {
      if (port && !port.closed) this.#retire(port)
      port = new UdpPort(this.host, this.port)
      this.#ports[index] = port
    }
    port.ask(message, end, untilMs, finish)
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
    this.#closed = true
    for (const port of [...this.#ports, ...this.#retired]) port?.close()
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
  readonly #pending = new Pending(false)
  #asked = 0
  /** Messages from before the socket was connected. */
  #unsent: Buffer[] | undefined = []

  constructor(host: string, port: number) {
    this.#socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: 1 << 20 })
    this.#socket.on('error', () => this.close())
    this.#socket.on('message', (message) => this.#pending.received(message))
    // A connect with a callback would tell it alone of a server to which there is no route.
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

  ask(message: Buffer, end: number, untilMs: number, finish: (result: Result) => void): void {
    this.#asked++
    this.#pending.add(message, end, untilMs, finish)
    if (this.#unsent) this.#unsent.push(message)
    else this.#send(message)
  }

  expire(nowMs: number): void {
    this.#pending.expire(nowMs)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.#socket.close()
    this.#pending.fail()
  }

  #send(message: Buffer): void {
    // A datagram that cannot be sent is one that gets no answer; of a closed port the kernel tells by an error.
    if (!this.closed) this.#socket.send(message)
  }
}
