import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Frames } from '../../src/dns/frames.ts'

export interface RawAsked {
  readonly transport: 'udp' | 'stream'
  readonly query: Buffer
  /** Of the asker. */
  readonly fromPort: number
  readonly send: (message: Buffer) => void
  /** Bytes as they are, without a length before them. By UDP the same as `send`. */
  readonly sendBytes: (bytes: Buffer) => void
  /** Ends the connection; nothing by UDP. */
  readonly end: () => void
}

export interface RawServerOptions {
  /** TLS only, and no UDP. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** No TCP. */
  readonly udpOnly?: boolean
}

/** A name server on 127.0.0.1 whose script sees the very bytes, by UDP and TCP on one port, or by TLS. */
export class RawDnsServer {
  readonly asked: RawAsked[] = []
  connections = 0
  port = 0
  script: (asked: RawAsked) => void
  readonly #udp: UdpSocket | undefined
  readonly #stream: Server | undefined
  readonly #open = new Set<Socket>()

  private constructor(script: (asked: RawAsked) => void, { tls, udpOnly }: RawServerOptions) {
    this.script = script
    const serve = (socket: Socket): void => this.#serve(socket)
    if (tls) this.#stream = createTlsServer(tls, serve).on('tlsClientError', () => {})
    else if (udpOnly !== true) this.#stream = createServer(serve)
    if (tls) return
    const udp = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
    udp.on('message', (query, { port, address }) => {
      const send = (message: Buffer): void => udp.send(message, port, address)
      this.#ask({ transport: 'udp', query, fromPort: port, send, sendBytes: send, end: () => {} })
    })
    this.#udp = udp
  }

  static async start(
    script: (asked: RawAsked) => void,
    options: RawServerOptions = {},
  ): Promise<RawDnsServer> {
    const server = new RawDnsServer(script, options)
    if (server.#stream) {
      server.#stream.listen(0, '127.0.0.1')
      await once(server.#stream, 'listening')
      const address = server.#stream.address()
      if (address === null || typeof address === 'string') throw new Error('a TCP server without a port')
      server.port = address.port
    }
    if (server.#udp) {
      server.#udp.bind(server.port, '127.0.0.1')
      await once(server.#udp, 'listening')
      server.port = server.#udp.address().port
    }
    return server
  }

  /** Connections that stand. */
  get open(): number {
    return this.#open.size
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy()
    this.#udp?.close()
    await new Promise<void>((resolve) => (this.#stream ? this.#stream.close(() => resolve()) : resolve()))
  }

  #serve(socket: Socket): void {
    this.connections++
    this.#open.add(socket)
    socket.on('close', () => this.#open.delete(socket))
    socket.on('error', () => socket.destroy())
    const fromPort = socket.remotePort ?? 0
    const sendBytes = (bytes: Buffer): void => void socket.write(bytes)
    const send = (message: Buffer): void => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(message.length)
      sendBytes(Buffer.concat([length, message]))
    }
    const frames = new Frames((frame) =>
      this.#ask({
        transport: 'stream',
        query: Buffer.from(frame),
        fromPort,
        send,
        sendBytes,
        end: () => socket.destroy(),
      }),
    )
    socket.on('data', (chunk: Buffer) => frames.push(chunk))
  }

  #ask(asked: RawAsked): void {
    this.asked.push(asked)
    this.script(asked)
  }
}
