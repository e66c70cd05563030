import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { BindOptions, ConnectOptions, Datagrams, Peer } from './model.ts'

/** A socket of Node's own: one call of the kernel a message. */
export class PlainSocket implements Datagrams {
  readonly #socket: Socket
  /** Messages from before the socket was connected. */
  #unsent: Buffer[] | undefined
  #closed = false

  private constructor(socket: Socket) {
    this.#socket = socket
  }

  static bind({ type, at, receiveBytes, onMessage, onError }: BindOptions): Promise<PlainSocket> {
    return new Promise((resolve, reject) => {
      const socket = createSocket({
        type,
        ipv6Only: type === 'udp6',
        // Whoever asked has an address: to have it looked up costs a turn of the loop for each answer.
        lookup: (address, _, found) => found(null, address, type === 'udp6' ? 6 : 4),
        ...('fd' in at ? {} : { recvBufferSize: receiveBytes }),
      })
      const fail = (error: Error): void => {
        socket.close()
        reject(error)
      }
      socket.once('error', fail)
      socket.on('message', (message, { address, port }) =>
        onMessage(message, { address, port, encoded: undefined }),
      )
      socket.bind(at, () => {
        socket.removeListener('error', fail)
        socket.on('error', onError)
        resolve(new PlainSocket(socket))
      })
    })
  }

  static connect({ host, port, receiveBytes, onMessage, onError }: ConnectOptions): PlainSocket {
    const socket = createSocket({ type: isIPv6(host) ? 'udp6' : 'udp4', recvBufferSize: receiveBytes })
    const plain = new PlainSocket(socket)
    plain.#unsent = []
    socket.on('error', onError)
    socket.on('message', (message, { address, port: from }) =>
      onMessage(message, { address, port: from, encoded: undefined }),
    )
    // Not a callback of connect: that one is called for failures too, instead of the error event.
    socket.on('connect', () => {
      const messages = plain.#unsent ?? []
      plain.#unsent = undefined
      for (const message of messages) plain.send(message)
    })
    socket.connect(port, host)
    return plain
  }

  get place(): Datagrams['place'] {
    return this.#socket.address()
  }

  send(message: Buffer, to?: Peer): void {
    if (this.#closed) return
    if (to) this.#socket.send(message, to.port, to.address, ignore)
    else if (this.#unsent) this.#unsent.push(message)
    // What goes wrong comes as an error of the socket, a closed port at the other end too.
    else this.#socket.send(message)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
  }
}

/** Of a peer that is gone, or a route to it. */
const ignore = (): void => undefined
