import { createSocket } from 'node:dgram'
import { createServer, type Socket } from 'node:net'
import { isIPv6 } from 'node:net'
import { once } from 'node:events'
import { decode } from 'dns-packet'
import { answerTo, type DnsScript, scriptFor } from './dns-script.ts'

/** One question as it arrived, with whom it came from. */
export interface DnsQuery {
  readonly atMs: number
  readonly name: string
  readonly type: string
  readonly from: string
  readonly to: string
  readonly transport: 'udp' | 'tcp'
}

/** The scripted DNS server: UDP on each given address (so that answers come from the one asked), TCP on all. */
export class DnsServer {
  readonly scripts = new Map<string, DnsScript>()
  queries: DnsQuery[] = []

  async listen(addresses: readonly string[]): Promise<void> {
    await Promise.all(addresses.map((address) => this.listenUdp(address)))
    const tcp = createServer((socket) => this.serveTcp(socket))
    tcp.listen(53, '::')
    await once(tcp, 'listening')
  }

  private async listenUdp(address: string): Promise<void> {
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
    socket.on('message', (message, from) => {
      this.reply(message, from.address, address, 'udp', (bytes) =>
        socket.send(bytes, from.port, from.address),
      )
    })
    socket.on('error', () => undefined)
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(53, address, resolve)
    })
  }

  private serveTcp(socket: Socket): void {
    let pending = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0)
        const message = pending.subarray(2, end)
        pending = pending.subarray(end)
        this.reply(message, socket.remoteAddress ?? '', socket.localAddress ?? '', 'tcp', (bytes) => {
          const length = Buffer.alloc(2)
          length.writeUInt16BE(bytes.length)
          socket.write(Buffer.concat([length, bytes]))
        })
      }
    })
  }

  private reply(
    message: Buffer,
    from: string,
    to: string,
    transport: 'udp' | 'tcp',
    send: (bytes: Buffer) => void,
  ): void {
    try {
      const query = decode(message)
      const question = query.questions?.[0]
      if (!question) return
      if (this.queries.length < 200_000) {
        this.queries.push({ atMs: Date.now(), name: question.name, type: question.type, from, to, transport })
      }
      const bytes = answerTo(query, this.scripts, transport)
      if (!bytes) return
      const delayMs = scriptFor(this.scripts, question.name)?.delayMs ?? 0
      if (delayMs > 0) setTimeout(() => send(bytes), delayMs)
      else send(bytes)
    } catch {
      // Not a DNS message: like a real server, say nothing.
    }
  }
}
