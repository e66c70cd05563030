import { connect } from 'node:net'
import { messageOf, Waiting, type ExchangeResult, type Try } from './exchange.ts'

/** Asks by TCP, for answers that do not fit into a datagram: one connection a question. Never rejects. */
export function exchangeTcp(attempt: Try): Promise<ExchangeResult> {
  return new Promise((resolve) => {
    const { server } = attempt
    const { id, message } = messageOf(attempt)
    const socket = connect({ host: server.host, port: server.port, noDelay: true })
    const waiting = new Waiting(attempt, id, (result) => {
      resolve(result)
      socket.destroy()
    })
    const length = Buffer.alloc(2)
    length.writeUInt16BE(message.length)
    socket.write(Buffer.concat([length, message]))
    const frames = new Frames((frame) => waiting.received(frame))
    socket.on('data', (chunk) => frames.push(chunk))
    socket.on('error', (error) => waiting.settle({ kind: 'unreachable', detail: error.message }))
    socket.on('close', () =>
      waiting.settle({ kind: 'unreachable', detail: 'the server closed the connection without an answer' }),
    )
  })
}

/** Cuts the stream into messages: two bytes of length before each, so at most 64 KiB wait here. */
class Frames {
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(private readonly onFrame: (frame: Buffer) => void) {}

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < 2) return
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE()
      this.onFrame(rest.subarray(2, end))
      rest = rest.subarray(end)
    }
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#bytes = rest.length
  }
}
