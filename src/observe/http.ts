import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { keepRoom, REQUEST_LIMITS, type RequestLimits } from './connection-room.ts'

export interface HttpOptions {
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  readonly metrics: { readonly contentType: string; render(): Promise<string> }
  /** Why the host is not ready, in sentences; empty when it is. */
  readonly notReady: () => readonly string[]
  readonly limits?: RequestLimits
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
  let answering = 0
  const page = sharedPage(
    () => options.metrics.render(),
    () => answering > MANY_ANSWERS,
  )
  const server = createServer(options.limits ?? REQUEST_LIMITS, (request, response) => {
    // The client sent several requests at once and was disconnected: the rest of them need no answer.
    if (request.socket.destroyed) return
    answering += 1
    const overdue = setTimeout(() => request.socket.destroy(), ANSWER_MS)
    response.once('close', () => {
      answering -= 1
      clearTimeout(overdue)
    })
    answer(request, options, page).then(
      (reply) => send(request, response, reply),
      () => send(request, response, text(500, 'the metrics could not be rendered\n')),
    )
  })
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

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
}

/** A client that does not read its answer is disconnected after this time, since the answer stays in our memory until then. */
const ANSWER_MS = 10_000
/** More answers than this at a time are not usual scrapes. From then on all of a second get the same page. */
const MANY_ANSWERS = 8
const PAGE_MS = 1_000

const text = (status: number, body: string): Reply => ({ status, type: 'text/plain; charset=utf-8', body })
const json = (status: number, body: unknown): Reply => ({
  status,
  type: 'application/json',
  body: `${JSON.stringify(body)}\n`,
})

/**
 * Renders one page for all requests of the same moment: rendering takes milliseconds in which no DNS question is answered. While many answers are
 * on their way, one page serves all requests of a second, with one copy of it in memory.
 */
function sharedPage(render: () => Promise<string>, areMany: () => boolean): () => Promise<Buffer> {
  let page: Promise<Buffer> | undefined
  let last: { readonly page: Promise<Buffer>; readonly atMs: number } | undefined
  const written = async (): Promise<Buffer> => {
    await turn()
    page = undefined
    return Buffer.from(await render())
  }
  return () => {
    if (page) return page
    const nowMs = performance.now()
    if (last && areMany() && nowMs - last.atMs < PAGE_MS) return last.page
    page = written()
    last = { page, atMs: nowMs }
    return page
  }
}

async function answer(
  request: IncomingMessage,
  options: HttpOptions,
  page: () => Promise<Buffer>,
): Promise<Reply> {
  const path = (request.url ?? '/').split('?', 1)[0]
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    return text(404, 'this server has /metrics, /healthz and /readyz\n')
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return text(405, 'only GET and HEAD\n')
  if (path === '/metrics') {
    return { status: 200, type: options.metrics.contentType, body: await page() }
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
