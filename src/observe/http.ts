import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface HttpOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
  /** Why the host is not ready, in sentences; empty when it is. */
  readonly notReady: () => readonly string[]
}

export interface HttpServer {
  readonly port: number
  close(): Promise<void>
}

/** The server could not take its address. `in-use` may pass by itself: the caller may try again. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  constructor(
    readonly kind: 'in-use' | 'refused' | 'no-such-address',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** Serves `/metrics`, `/healthz` and `/readyz`, reading only; rejects with {@link ListenError}. */
export async function startHttpServer(options: HttpOptions): Promise<HttpServer> {
  const server = createServer(
    // Whoever sends nothing is noticed at once: the usual rhythm of looking is half a minute.
    {
      maxHeaderSize: 8192,
      requestTimeout: 10_000,
      headersTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      answer(request, options).then(
        (reply) => send(request, response, reply),
        () => send(request, response, text(500, 'the metrics could not be rendered\n')),
      )
    },
  )
  server.keepAliveTimeout = 5_000
  keepRoom(server)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)))
    server.listen(options.port, options.host, resolve)
  })
  // An accept that fails later (out of descriptors) must not end the daemon.
  server.on('error', () => undefined)
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const MOST_CONNECTIONS = 256

/** Of too many connections the one that was idle the longest gives way: nobody keeps a scrape out by connecting and saying nothing. */
function keepRoom(server: Server): void {
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
  server.on('request', ({ socket }, response) => {
    answering.add(socket)
    response.once('close', () => {
      answering.delete(socket)
      if (!connections.delete(socket)) return
      connections.add(socket)
    })
  })
}

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
}

const text = (status: number, body: string): Reply => ({ status, type: 'text/plain; charset=utf-8', body })
const json = (status: number, body: unknown): Reply => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
})

async function answer(request: IncomingMessage, options: HttpOptions): Promise<Reply> {
  const path = (request.url ?? '/').split('?', 1)[0]
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    return text(404, 'here are /metrics, /healthz and /readyz\n')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD\n')
  if (path === '/metrics') {
    return { status: 200, type: options.metrics.contentType, body: await options.metrics.render() }
  }
  if (path === '/healthz') return json(200, { alive: true })
  const reasons = options.notReady()
  return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons })
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    ...(reply.status === 405 ? { allow: 'GET, HEAD' } : {}),
  })
  response.end(request.method === 'HEAD' ? undefined : reply.body)
}

function listenError(error: NodeJS.ErrnoException, { host, port }: HttpOptions): ListenError {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError('in-use', `metrics.listen ${place}: another program holds this port`, {
        cause: error,
      })
    case 'EACCES':
      return new ListenError('refused', `metrics.listen ${place}: not permitted`, { cause: error })
    default:
      return new ListenError('no-such-address', `metrics.listen ${place}: ${error.message}`, { cause: error })
  }
}
