import { connectDatagrams } from '../system/datagrams/datagrams.ts'
import type { Datagrams } from '../system/datagrams/model.ts'
import { errorMessage } from '../system/errors.ts'
import { PendingQuestions, type PendingQuestion } from './pending-questions.ts'
import { randomBelow } from './random.ts'

/** How questions are spread over local ports, so that a forger cannot foresee them. A socket for each question would cost 50 µs. */
export interface PortUse {
  /** As many ports are in use at a time, and any of them may be the next. A power of two. */
  readonly ports: number
  /** As many questions leave by one port; then another takes its place. */
  readonly questionsPerPort: number
  /** A port is closed as soon as nothing is on its way, so that questions which come one by one have a port each. */
  readonly closesIdle: boolean
}

/** As many questions of one turn of the event loop leave by one port together, in one call of the kernel. */
const QUESTIONS_TOGETHER = 32
/** Answers wait here while something else is computed. */
const RECEIVE_BYTES = 1 << 20

/** Asks one server by UDP. */
export class UdpTransport {
  readonly #ports: UdpPort[] = []
  /** Ports by which nothing leaves any more, with questions on their way. */
  readonly #retired = new Set<UdpPort>()
  /** By which the next questions of this turn of the loop leave. */
  #chosen = 0
  #left = 0

  constructor(
    private readonly host: string,
    private readonly port: number,
    private readonly use: PortUse,
  ) {}

  get isIdle(): boolean {
    return this.#retired.size === 0 && this.#ports.every((port) => port.isIdle)
  }

  /** No socket is open. */
  get isClosed(): boolean {
    return this.#retired.size === 0 && this.#ports.every((port) => port.closed)
  }

  ask(question: PendingQuestion): void {
    const index = this.#index()
    let port = this.#ports[index]
    if (!port?.usable) {
      if (port) this.#retire(port)
      try {
        port = new UdpPort(this.host, this.port, this.use)
      } catch (error) {
        // There is no way to the server now; there may be one for the next question.
        question.finish({ kind: 'unreachable', detail: errorMessage(error) })
        return
      }
      this.#ports[index] = port
    }
    port.ask(question)
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
      this.#chosen = randomBelow(this.use.ports)
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
  readonly #pending = new PendingQuestions()
  readonly #use: PortUse
  #asked = 0

  /** @throws where there is no way to the server */
  constructor(host: string, port: number, use: PortUse) {
    this.#use = use
    this.#socket = connectDatagrams({
      host,
      port,
      receiveBytes: RECEIVE_BYTES,
      onMessage: (message) => {
        this.#pending.receive(message)
        if (use.closesIdle && this.isIdle) this.close()
      },
      onError: (error) => this.close(error.message),
    })
  }

  get usable(): boolean {
    return !this.closed && this.#asked < this.#use.questionsPerPort
  }

  get isIdle(): boolean {
    return this.#pending.size === 0
  }

  ask(question: PendingQuestion): void {
    this.#asked++
    this.#pending.add(question)
    this.#socket.send(question.message, undefined, !question.alone)
  }

  expire(nowMs: number): void {
    this.#pending.expire(nowMs)
  }

  close(why = 'closed'): void {
    if (this.closed) return
    this.closed = true
    this.#socket.close()
    this.#pending.fail({ kind: 'unreachable', detail: why })
  }
}
