import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { decode, encode, type Answer, type Packet, type Question } from 'dns-packet'
import { Frames } from '../../src/dns/frames.ts'
import type { NameServer } from '../../src/dns/name-server.ts'

/** What the scripted server was asked, and how. */
export interface Asked {
  /** Lower case, without trailing dot. */
  readonly name: string
  readonly type: string
  readonly transport: 'udp' | 'tcp'
  readonly id: number
  readonly edns: boolean
  readonly fromPort: number
}

export type Rcode = 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'NOTIMP' | 'REFUSED'

/** What it does then. `raw` messages go out as they are, one after the other; `elsewhere` sends a good answer from another port. */
export type Reply =
  | {
      readonly kind: 'answer'
      readonly answers: readonly Answer[]
      readonly truncated?: boolean
      readonly delayMs?: number
    }
  | { readonly kind: 'rcode'; readonly rcode: Rcode }
  | { readonly kind: 'silence' }
  | { readonly kind: 'raw'; readonly messages: readonly Buffer[] }
  | { readonly kind: 'elsewhere'; readonly answers: readonly Answer[] }
  | { readonly kind: 'close' }

export type Script = (asked: Asked, query: Packet) => Reply

const RCODES: Readonly<Record<Rcode, number>> = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
}

export const a = (name: string, address: string, ttl = 60): Answer => ({
  type: 'A',
  name,
  data: address,
  ttl,
})
export const aaaa = (name: string, address: string, ttl = 60): Answer => ({
  type: 'AAAA',
  name,
  data: address,
  ttl,
})
export const cname = (name: string, target: string, ttl = 60): Answer => ({
  type: 'CNAME',
  name,
  data: target,
  ttl,
})
export const answer = (...answers: Answer[]): Reply => ({ kind: 'answer', answers })
export const rcode = (code: Rcode): Reply => ({ kind: 'rcode', rcode: code })
export const silence: Reply = { kind: 'silence' }
/** Answers A questions with these, everything else with no data. */
export const zone =
  (records: Readonly<Record<string, readonly string[]>>, ttl = 60): Script =>
  ({ name, type }) => {
    const addresses = records[name]
    if (!addresses) return rcode('NXDOMAIN')
    const wanted = addresses.filter((address) => (type === 'AAAA') === address.includes(':'))
    return answer(
      ...wanted.map((address) => (type === 'AAAA' ? aaaa(name, address, ttl) : a(name, address, ttl))),
    )
  }

/** A name server on 127.0.0.1 that does what its script says, by UDP and TCP on one port. */
export class DnsServer {
  readonly asked: Asked[] = []
  /** May be exchanged at any time. */
  script: Script
  port = 0
  readonly #udp: UdpSocket = createSocket('udp4')
  readonly #other: UdpSocket = createSocket('udp4')
  readonly #tcp: Server = createServer((socket) => this.#serve(socket))
  readonly #connections = new Set<Socket>()

  private constructor(script: Script) {
    this.script = script
    this.#udp.on('message', (message, from) => this.#onDatagram(message, from))
  }

  static async start(script: Script, port = 0): Promise<DnsServer> {
    const server = new DnsServer(script)
    server.#tcp.listen(port, '127.0.0.1')
    await once(server.#tcp, 'listening')
    const address = server.#tcp.address()
    if (address === null || typeof address === 'string') throw new Error('a TCP server without a port')
    server.port = address.port
    server.#udp.bind(server.port, '127.0.0.1')
    await once(server.#udp, 'listening')
    server.#other.bind(0, '127.0.0.1')
    await once(server.#other, 'listening')
    return server
  }

  /** As a client asks it. */
  get place(): NameServer {
    return { kind: 'plain', host: '127.0.0.1', port: this.port }
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    this.#udp.close()
    this.#other.close()
    await new Promise((resolve) => this.#tcp.close(resolve))
  }

  #onDatagram(message: Buffer, from: RemoteInfo): void {
    const query = decode(message)
    const reply = this.#ask(query, 'udp', from.port)
    const send = (socket: UdpSocket, bytes: Buffer) => socket.send(bytes, from.port, from.address)
    if (reply.kind === 'answer') setTimeout(() => send(this.#udp, response(query, reply)), reply.delayMs ?? 0)
    else if (reply.kind === 'rcode') send(this.#udp, response(query, reply))
    else if (reply.kind === 'raw') for (const bytes of reply.messages) send(this.#udp, bytes)
    else if (reply.kind === 'elsewhere')
      send(this.#other, response(query, { kind: 'answer', answers: reply.answers }))
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket)
    socket.on('close', () => this.#connections.delete(socket))
    socket.on('error', () => socket.destroy())
    const frames = new Frames((frame) => {
      const query = decode(frame)
      const reply = this.#ask(query, 'tcp', socket.remotePort ?? 0)
      if (reply.kind === 'answer' || reply.kind === 'rcode') writeInPieces(socket, response(query, reply))
      else if (reply.kind === 'raw') for (const bytes of reply.messages) socket.write(bytes)
      else if (reply.kind === 'close') socket.destroy()
    })
    socket.on('data', (chunk) => frames.push(chunk))
  }

  #ask(query: Packet, transport: 'udp' | 'tcp', fromPort: number): Reply {
    const question: Question | undefined = query.questions?.[0]
    const asked: Asked = {
      name: question?.name.toLowerCase() ?? '',
      type: question?.type ?? '',
      transport,
      id: query.id ?? 0,
      edns: (query.additionals ?? []).some(({ type }) => type === 'OPT'),
      fromPort,
    }
    this.asked.push(asked)
    return this.script(asked, query)
  }
}

/** A well-formed response to the query; `changes` forges parts of it. */
export function response(
  query: Packet,
  reply: Extract<Reply, { kind: 'answer' | 'rcode' }>,
  changes: Partial<Packet> = {},
): Buffer {
  const code = reply.kind === 'rcode' ? RCODES[reply.rcode] : 0
  const truncated = reply.kind === 'answer' && reply.truncated === true ? 0x200 : 0
  return encode({
    type: 'response',
    id: query.id ?? 0,
    flags: 0x180 | truncated | code,
    questions: query.questions ?? [],
    answers: reply.kind === 'answer' && truncated === 0 ? [...reply.answers] : [],
    ...changes,
  })
}

/** The length and the message in separate segments, as some servers send them. */
function writeInPieces(socket: Socket, message: Buffer): void {
  const framed = Buffer.alloc(2 + message.length)
  framed.writeUInt16BE(message.length)
  message.copy(framed, 2)
  socket.write(framed.subarray(0, 1))
  setImmediate(() => socket.write(framed.subarray(1)))
}
