import { createServer, type ListenOptions, type Server, type Socket } from 'node:net'
import { Frames } from '../dns/frames.ts'
import { bindDatagrams } from '../system/datagrams/datagrams.ts'
import type { BindOptions, Datagrams } from '../system/datagrams/model.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import { Connections } from './connections.ts'
import type { Respond } from './request.ts'

export interface ListenerOptions {
  /** Of UDP and of TCP. */
  readonly port: number
  /** Sockets that the service manager holds open for us. Those of this port are used, the others left alone. */
  readonly inherited: readonly InheritedSocket[]
  /** `respond` is called once, now or later; false: never. */
  readonly onMessage: (message: Buffer, from: string, isUdp: boolean, respond: Respond) => boolean
  /** A socket failed after it was open. */
  readonly onError: (error: Error) => void
  /** How long a connection may last without a question. Default: 3 s, since who connects to ask does so at once. */
  readonly firstQuestionMs?: number
}

const PLACES = [
  { host: '0.0.0.0', type: 'udp4' },
  { host: '::', type: 'udp6' },
] as const
/** A rush of questions waits here while something else is computed. */
const RECEIVE_BYTES = 4 << 20
const CONNECTIONS = { most: 1_000, perSource: 16 }
const CONNECTION_IDLE_MS = 10_000
const FIRST_QUESTION_MS = 3_000
/** As many questions of one connection may be on their way. More of them wait in the kernel. */
const QUESTIONS_PER_CONNECTION = 64
/** A connection with more unread answers than this, beside what the kernel keeps, is closed. */
const MOST_UNREAD_BYTES = 256 << 10

/** The sockets at which containers' questions arrive, of both families and both protocols. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #datagrams: Datagrams[] = []
  readonly #servers: Server[] = []
  readonly #connections = new Connections<Socket>(CONNECTIONS)

  private constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** @throws when the port is taken. A host without IPv6 has its questions by IPv4 alone. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    try {
      const taken = await listener.#takeInherited()
      for (const { host, type } of PLACES) {
        try {
          if (!taken.has(`udp ${host}`)) await listener.#openUdp(type, { port: options.port, address: host })
          if (!taken.has(`tcp ${host}`))
            await listener.#openTcp({ port: options.port, host, ipv6Only: host === '::' })
        } catch (error) {
          if (host === '::' && isUnsupported(error)) continue
          throw error
        }
      }
      return listener
    } catch (error) {
      await listener.close()
      throw error
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#datagrams) socket.close()
    for (const connection of this.#connections.all()) connection.destroy()
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))))
  }

  /** Resolves to the places that were taken: `udp 0.0.0.0`. */
  async #takeInherited(): Promise<Set<string>> {
    const taken = new Set<string>()
    for (const { fd, kind } of this.#options.inherited) {
      const opening = kind === 'tcp' ? this.#openTcp({ fd }) : this.#openUdp(kind, { fd })
      // A socket that cannot be used is opened anew.
      const place = await opening.catch(() => undefined)
      if (place !== undefined) taken.add(place)
    }
    return taken
  }

  /** Resolves to its place, undefined for one of another port. */
  async #openUdp(type: 'udp4' | 'udp6', at: BindOptions['at']): Promise<string | undefined> {
    const socket = await bindDatagrams({
      type,
      at,
      receiveBytes: RECEIVE_BYTES,
      onMessage: (message, from) => {
        // No answer can be sent to port 0, and anybody can write it into a packet.
        if (from.port === 0) return
        this.#options.onMessage(message, from.address, true, (answer, joined) =>
          socket.send(answer, from, joined),
        )
      },
      onError: this.#options.onError,
    })
    const { port, address } = socket.place
    if (port !== this.#options.port) {
      socket.close()
      return undefined
    }
    this.#datagrams.push(socket)
    return `udp ${address}`
  }

  /** As {@link #openUdp}. */
  #openTcp(where: ListenOptions | { readonly fd: number }): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const server = createServer({ noDelay: true }, (connection) => this.#serve(connection))
      server.once('error', reject)
      server.listen(where, () => {
        server.removeListener('error', reject)
        server.on('error', this.#options.onError)
        const bound = server.address()
        if (bound === null || typeof bound === 'string' || bound.port !== this.#options.port) {
          server.close()
          return resolve(undefined)
        }
        this.#servers.push(server)
        resolve(`tcp ${bound.address}`)
      })
    })
  }

  #serve(connection: Socket): void {
    const from = connection.remoteAddress
    // The redirect gives the connection an address of the bridge by which it came in.
    if (from === undefined || !this.#connections.add(connection, from, connection.localAddress ?? '')) {
      connection.destroy()
      return
    }
    let onTheWay = 0
    const isFull = (): boolean =>
      onTheWay >= QUESTIONS_PER_CONNECTION || connection.writableNeedDrain || connection.destroyed
    /** A client that asks faster than it reads waits. */
    const regulate = (): void => {
      if (isFull()) connection.pause()
      else {
        frames.cut()
        if (connection.isPaused() && !isFull()) connection.resume()
      }
    }
    const frames = new Frames((message) => {
      onTheWay++
      this.#connections.countQuestions(connection, 1)
      connection.setTimeout(CONNECTION_IDLE_MS)
      regulate()
      const isTaken = this.#options.onMessage(message, from, false, (answer) => {
        onTheWay--
        this.#connections.countQuestions(connection, -1)
        if (connection.destroyed) return
        const length = Buffer.alloc(2)
        length.writeUInt16BE(answer.length)
        connection.write(Buffer.concat([length, answer]))
        if (connection.writableLength > MOST_UNREAD_BYTES) connection.destroy()
        regulate()
      })
      if (!isTaken) connection.destroy()
    }, isFull)
    connection.setTimeout(this.#options.firstQuestionMs ?? FIRST_QUESTION_MS, () => connection.destroy())
    connection.on('data', (chunk) => frames.push(chunk))
    connection.on('drain', regulate)
    connection.on('error', () => connection.destroy())
    connection.on('close', () => this.#connections.delete(connection))
  }
}

const isUnsupported = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL')
