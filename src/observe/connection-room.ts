import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** What an HTTP server allows one request, times in milliseconds. The names are those of Node's `createServer`. */
export interface RequestLimits {
  readonly maxHeaderSize: number
  /** From the first byte of a request to its last. */
  readonly requestTimeout: number
  /** From the first byte of a request, or from the connection on, to the end of the headers. */
  readonly headersTimeout: number
  /** How often the two limits above are checked. Node's default is half a minute, which would make the limits meaningless. */
  readonly connectionsCheckingInterval: number
}

/** The limits of the servers that local users can reach: a request of ours is small and is sent at once. */
export const REQUEST_LIMITS: RequestLimits = {
  maxHeaderSize: 8192,
  requestTimeout: 10_000,
  headersTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
}

const MOST_CONNECTIONS = 256

/**
 * Keeps a server reachable whatever its clients do. When there are too many connections, the one that was idle the longest is closed, so that idle
 * connections keep no one out. A client that sends another request before the answer to its first one is disconnected: no client of ours does
 * that, and one packet holds a thousand requests.
 */
export function keepRoom(server: Server): void {
  /** The connection that has been idle the longest comes first. */
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
