import { createSocket, type Socket } from 'node:dgram'
import { connect, createServer, type Server } from 'node:net'
import type { Family } from '../net/types.ts'

const LOOPBACK: Readonly<Record<Family, string>> = { 4: '127.0.0.1', 6: '::1' }

/**
 * A port of our own on the loopback interface. What we send there is redirected before it arrives; were it not, it would come to us.
 */
export interface Carrier {
  readonly port: number
  /** The first packet of a connection, or a datagram. Returns at once. */
  send(): void
  close(): void
}

/** @param payload of the datagram */
export const openCarrier = (
  protocol: 'tcp' | 'udp',
  family: Family,
  payload: Buffer | string = 'embargod verify',
): Promise<Carrier> =>
  protocol === 'tcp' ? openTcp(LOOPBACK[family]) : openUdp(LOOPBACK[family], family, payload)

async function openUdp(host: string, family: Family, payload: Buffer | string): Promise<Carrier> {
  const socket: Socket = createSocket(family === 4 ? 'udp4' : 'udp6')
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(0, host, resolve)
  })
  const { port } = socket.address()
  socket.on('error', () => undefined)
  return {
    port,
    send: () => socket.send(payload, port, host, () => undefined),
    close: () => void socket.close(),
  }
}

async function openTcp(host: string): Promise<Carrier> {
  const server: Server = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  server.on('error', () => undefined)
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const attempts: ReturnType<typeof connect>[] = []
  return {
    port,
    send: () => {
      const attempt = connect(port, host)
      attempt.on('error', () => undefined)
      attempts.push(attempt)
    },
    close: () => {
      for (const attempt of attempts) attempt.destroy()
      server.close()
    },
  }
}
