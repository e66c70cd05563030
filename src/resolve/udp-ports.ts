import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { messageOf, Waiting, type ExchangeResult, type Try } from './exchange.ts'
import type { ServerAddress } from './server-address.ts'

/** So many questions leave by one port at the most. */
const QUESTIONS_PER_PORT = 64

/**
 * Asks by UDP, from ports that nobody can foresee: a port lives only while questions are on the way from it, and for 64 of them. At rest
 * that is a port a question; in a rush sockets are too dear for that (50 µs each).
 */
export class UdpPorts {
  /** The newest port to each server. */
  readonly #open = new Map<string, UdpPort>()
  /** Ports with questions on the way, the newest among them. */
  readonly #busy = new Set<UdpPort>()

  /** Never rejects. */
  ask(attempt: Try): Promise<ExchangeResult> {
    const { server } = attempt
    const key = `${server.host}#${server.port}`
    let port = this.#open.get(key)
    if (!port?.usable) {
      const opened = new UdpPort(server, () => this.#busy.delete(opened))
      this.#busy.add(opened)
      this.#open.set(key, opened)
      port = opened
    }
    return port.ask(attempt)
  }

  /** Ends all that is on the way. */
  close(): void {
    for (const port of this.#busy) port.fail(new Error('closed'))
  }
}

/**
 * One socket. It is connected, so the kernel lets through only what the server itself sent from the port that was asked, and tells us at
 * once when nobody listens there.
 */
class UdpPort {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #closed = false
  /** Messages from before the socket was connected. */
  #unsent: Buffer[] | undefined = []

  readonly #onClose: () => void

  constructor(server: ServerAddress, onClose: () => void) {
    this.#onClose = onClose
    this.#socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
    this.#socket.on('error', (error) => this.fail(error))
    this.#socket.on('message', (message) => this.#receive(message))
    // Not a callback of connect: that one is called for failures too, instead of the error event.
    this.#socket.on('connect', () => {
      const messages = this.#unsent ?? []
      this.#unsent = undefined
      for (const message of messages) this.#send(message)
    })
    this.#socket.connect(server.port, server.host)
  }

  get usable(): boolean {
    return !this.#closed && this.#asked < QUESTIONS_PER_PORT
  }

  ask(attempt: Try): Promise<ExchangeResult> {
    this.#asked++
    return new Promise((resolve) => {
      let { id, message } = messageOf(attempt)
      while (this.#waiting.has(id)) ({ id, message } = messageOf(attempt))
      const finish = (result: ExchangeResult): void => {
        this.#waiting.delete(id)
        resolve(result)
        if (this.#waiting.size === 0) this.#close()
      }
      this.#waiting.set(id, new Waiting(attempt, id, finish))
      if (this.#unsent) this.#unsent.push(message)
      else this.#send(message)
    })
  }

  #send(message: Buffer): void {
    if (this.#closed) return
    this.#socket.send(message, (error) => error && this.fail(error))
  }

  #receive(message: Buffer): void {
    if (message.length >= 2) this.#waiting.get(message.readUInt16BE())?.received(message)
    // Too short to say whose it is.
    if (message.length < 12) for (const waiting of this.#waiting.values()) waiting.received(message)
  }

  fail(error: Error): void {
    for (const waiting of this.#waiting.values())
      waiting.settle({ kind: 'unreachable', detail: error.message })
    this.#close()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
    this.#onClose()
  }
}
