import { connect } from 'node:net'
import { Frames } from './frames.ts'
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
