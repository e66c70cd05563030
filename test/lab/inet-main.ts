/**
 * The servers of the little internet, run inside its namespaces: DNS, HTTP, mail, and a control channel on a
 * unix socket (`node inet-main.ts SOCKET`), where each request is one JSON object `{"do":…}` in a POST body.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { DnsServer } from './dns-main.ts'
import type { InetAnswer, InetOrder, Visit } from './inet-protocol.ts'
import { INET } from './topology.ts'

const HTTP_PORTS = [80, 443, 5432, 8080]
const MAIL_PORTS = [25, 465, 587]

const dns = new DnsServer()
let visits: Visit[] = []
const open = new Set<Socket>()

function visited(port: number, socket: Socket): void {
  open.add(socket)
  socket.on('close', () => open.delete(socket))
  socket.on('error', () => socket.destroy())
  visits.push({ atMs: Date.now(), port, to: plain(socket.localAddress), from: plain(socket.remoteAddress) })
}

/** `/` says who came to which address; `/stream` a line every 100 ms until the client goes. */
function page(request: IncomingMessage, response: ServerResponse): void {
  const { localAddress, localPort, remoteAddress } = request.socket
  if (request.url?.startsWith('/stream')) {
    const timer = setInterval(() => response.write(`${Date.now()}\n`), 100)
    response.on('close', () => clearInterval(timer))
    response.write('streaming\n')
    return
  }
  const body = `hello from ${plain(localAddress)} port ${localPort} to ${plain(remoteAddress)} host ${request.headers.host ?? ''}\n`
  response.end(body)
}

function mail(socket: Socket): void {
  socket.setEncoding('utf8')
  socket.write('220 mail.lab ESMTP\r\n')
  socket.on('data', (line: string) => {
    if (/^quit/i.test(line)) socket.end('221 bye\r\n')
    else if (/^data/i.test(line)) socket.write('354 go on\r\n')
    else socket.write('250 ok\r\n')
  })
}

function obey(order: InetOrder): InetAnswer {
  switch (order.do) {
    case 'dns':
      for (const [name, script] of Object.entries(order.scripts)) {
        if (script === null) dns.scripts.delete(name.toLowerCase())
        else dns.scripts.set(name.toLowerCase(), script)
      }
      return { do: 'dns' }
    case 'dns-clear':
      dns.scripts.clear()
      dns.queries = []
      return { do: 'dns-clear' }
    case 'queries':
      return { do: 'queries', queries: dns.queries }
    case 'visits':
      return { do: 'visits', visits }
    case 'forget':
      visits = []
      dns.queries = []
      return { do: 'forget' }
    case 'hang-up':
      for (const socket of open) socket.destroy()
      return { do: 'hang-up' }
  }
}

async function main(socketPath: string): Promise<void> {
  for (const port of HTTP_PORTS) {
    const server = createHttpServer({ keepAliveTimeout: 1000 }, page)
    server.on('connection', (socket) => visited(port, socket))
    server.listen({ port, host: '::', backlog: 4096 })
  }
  for (const port of MAIL_PORTS) {
    createServer((socket) => {
      visited(port, socket)
      mail(socket)
    }).listen({ port, host: '::', backlog: 4096 })
  }
  await dns.listen([INET.dns, INET.dns6, INET.otherDns, INET.otherDns6, INET.metadata])
  createHttpServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const order: InetOrder = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      response.end(JSON.stringify(obey(order)))
    })
  }).listen(socketPath)
}

const plain = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '')

await main(process.argv[2] ?? '')
