import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { messageOf, Waiting, type ExchangeResult, type Try } from './exchange.ts'

/**
 * Asks by UDP. Every question has a socket of its own: a port that nobody can foresee, beside an id that nobody can. The socket is
 * connected, so the kernel lets through what the server itself sent from the port that was asked, and tells us at once when nobody
 * listens there. It costs some 50 µs. Never rejects.
 */
export function exchangeUdp(attempt: Try): Promise<ExchangeResult> {
  return new Promise((resolve) => {
    const { server } = attempt
    const { id, message } = messageOf(attempt)
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
    const waiting = new Waiting(attempt, id, (result) => {
      resolve(result)
      socket.close()
    })
    const unreachable = (error: Error): void => waiting.settle({ kind: 'unreachable', detail: error.message })
    socket.on('error', unreachable)
    socket.on('message', (received) => waiting.received(received))
    socket.connect(server.port, server.host, () => {
      try {
        socket.send(message, (error) => error && unreachable(error))
      } catch {
        // Closed by a time-out or an abort between the call and the connection: the waiting has its result.
      }
    })
  })
}
