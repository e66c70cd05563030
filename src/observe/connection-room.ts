import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Limits of an HTTP server that local users can reach. Whoever sends nothing is noticed at once: the usual rhythm of looking is half a minute. */
export const SHORT_REQUESTS = {
  maxHeaderSize: 8192,
  requestTimeout: 10_000,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const

const MOST_CONNECTIONS = 256

/**
 * Of too many connections the one that was idle the longest gives way: nobody keeps others out by connecting and saying nothing. Who asks again
 * before the answer came is cut off: no client of ours does, and a thousand questions fit into one packet.
 */
export function keepRoom(server: Server): void {
  /** The longest idle first; those that are being answered last of all. */
  const connections = new Set<Socket>()
  const answering = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    if (connections.size >= MOST_CONNECTIONS) {
      const [first] = connections
      const idle = [...connections].find((one) => !answering.has(one)) ?? first
      if (idle) connections.delete(idle)
      idle?.destroy()
    }
    connections.add(socket)
    socket.once('close', () => {
      connections.delete(socket)
      answering.delete(socket)
    })
  })
  server.prependListener('request', ({ socket }, response) => {
    if (answering.has(socket)) socket.destroy()
    answering.add(socket)
    response.once('close', () => {
      answering.delete(socket)
      if (!connections.delete(socket)) return
      connections.add(socket)
    })
  })
}
