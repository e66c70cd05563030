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
  /** Where the answer has to go, and the id that it has to bear. */
  readonly fromPort: number
  readonly id: number
  readonly to: string
  readonly transport: 'udp' | 'tcp'
}

/** One question, one answer. */
function relay(message: Buffer, server: string, send: (bytes: Buffer) => void): void {
  const socket = createSocket('udp4')
  const overdue = setTimeout(() => socket.close(), 5_000)
  socket.on('error', () => undefined)
  socket.once('message', (answer) => {
    clearTimeout(overdue)
    socket.close()
    send(answer)
  })
  socket.send(message, 53, server)
}

/** The scripted DNS server: UDP on each given address (so that answers come from the one asked), TCP on all. */
export class DnsServer {
  readonly scripts = new Map<string, DnsScript>()
  queries: DnsQuery[] = []
  /** Questions so far, by name and type. */
  private readonly turns = new Map<string, number>()

  async listen(addresses: readonly string[]): Promise<void> {
    await Promise.all(addresses.map((address) => this.listenUdp(address)))
    const tcp = createServer((socket) => this.serveTcp(socket))
    tcp.listen(53, '::')
    await once(tcp, 'listening')
  }

  private async listenUdp(address: string): Promise<void> {
    const socket = createSocket({ type: isIPv6(address) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 })
    socket.on('message', (message, from) => {
      this.reply(message, from, address, 'udp', (bytes) => socket.send(bytes, from.port, from.address))
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
        const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
        this.reply(message, from, socket.localAddress ?? '', 'tcp', (bytes) => {
          const length = Buffer.alloc(2)
          length.writeUInt16BE(bytes.length)
          socket.write(Buffer.concat([length, bytes]))
        })
      }
    })
  }

  private reply(
    message: Buffer,
    from: { readonly address: string; readonly port: number },
    to: string,
    transport: 'udp' | 'tcp',
    send: (bytes: Buffer) => void,
  ): void {
    try {
      const query = decode(message)
      const question = query.questions?.[0]
      if (!question) return
      const { name, type } = question
      if (this.queries.length < 200_000) {
        const whence = { from: from.address, fromPort: from.port, id: query.id ?? 0 }
        this.queries.push({ atMs: Date.now(), name, type, ...whence, to, transport })
      }
      const turn = this.nextTurn(name, type, transport)
      const forward = scriptFor(this.scripts, name, turn)?.forward
      if (forward !== undefined) {
        relay(message, forward, send)
        return
      }
      const bytes = answerTo(query, this.scripts, { transport, turn })
      if (!bytes) return
      const delayMs = scriptFor(this.scripts, name, turn)?.delayMs ?? 0
      if (delayMs > 0) setTimeout(() => send(bytes), delayMs)
      else send(bytes)
    } catch {
      // Not a DNS message: like a real server, say nothing.
    }
  }

  /** A question that comes again by TCP is still the same one. */
  private nextTurn(name: string, type: string, transport: 'udp' | 'tcp'): number {
    const key = `${name.toLowerCase()} ${type}`
    const turn = this.turns.get(key) ?? 0
    if (transport === 'tcp') return Math.max(0, turn - 1)
    this.turns.set(key, turn + 1)
    return turn
  }
}
