import { chmod, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { keepRoom, REQUEST_LIMITS, type RequestLimits } from '../observe/connection-room.ts'
import { ControlError } from './error.ts'
import { preparePrivateDirectory, socketPath } from './place.ts'
import { errorMessage } from '../system/errors.ts'

/** `body` is whatever JSON the client sent: parse it. Reject with {@link ControlError} to choose the client's exit code. */
export type ControlHandler = (body: unknown, signal: AbortSignal) => Promise<unknown>
export type ControlHandlers = Readonly<Record<string, ControlHandler>>

const MAX_BODY_BYTES = 1024 * 1024
/** The client gives up a daemon that shows no sign of life for some seconds. */
const SIGN_OF_LIFE_MS = 500

/**
 * The socket on which the daemon takes requests: `POST /<name>` with a JSON body, over a unix socket that only our user can reach.
 * Answers `{"result": …}`, or `{"error": {"message", "exitCode"}}` with a status of 400 and more. Until then "102 Processing" says again and
 * again that the daemon lives and is at work on it.
 */
export class ControlServer {
  readonly #server: Server
  readonly #path: string

  private constructor(server: Server, path: string) {
    this.#server = server
    this.#path = path
  }

  get path(): string {
    return this.#path
  }

  /** Replaces the socket file of a daemon that is gone; rejects when one answers there. */
  static async start(
    directory: string,
    handlers: ControlHandlers,
    limits: RequestLimits = REQUEST_LIMITS,
  ): Promise<ControlServer> {
    await preparePrivateDirectory(directory)
    const path = await socketPath(directory)
    if (await someoneListens(path)) throw new ControlError(`another daemon answers on ${path}`, 1)
    await rm(path, { force: true })
    const server = createServer(limits, (request, response) => void converse(request, response, handlers))
    keepRoom(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    server.on('error', () => undefined)
    await chmod(path, 0o600)
    return new ControlServer(server, path)
  }

  /** Waits until answers on their way have been sent, for a second at most. */
  async close(): Promise<void> {
    const cut = setTimeout(() => this.#server.closeAllConnections(), 1000)
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeIdleConnections()
    })
    clearTimeout(cut)
    await rm(this.#path, { force: true })
  }
}

function someoneListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const end = (listens: boolean): void => {
      socket.destroy()
      resolve(listens)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

async function converse(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: ControlHandlers,
): Promise<void> {
  if (request.socket.destroyed) return
  const gone = new AbortController()
  const signs = setInterval(() => showLife(response), SIGN_OF_LIFE_MS)
  response.once('close', () => {
    clearInterval(signs)
    gone.abort()
  })
  showLife(response)
  const name = (request.url ?? '').slice(1)
  const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined
  try {
    if (request.method !== 'POST') return reply(response, 405, failure('only POST', 64))
    // First the whole request: who still writes it when we close reads no answer.
    const text = await readBody(request)
    if (text === undefined) return reply(response, 413, failure('the request is larger than 1 MiB', 64))
    if (handler === undefined) return reply(response, 404, failure(`this daemon does not know "${name}"`, 64))
    const result = await handler(parseBody(text), gone.signal)
    reply(response, 200, { result: result ?? null })
  } catch (error) {
    if (error instanceof ControlError) return reply(response, 422, failure(error.message, error.exitCode))
    reply(response, 500, failure(errorMessage(error), 1))
  }
}

function showLife(response: ServerResponse): void {
  if (!response.headersSent && !response.destroyed) response.writeProcessing()
}

const failure = (message: string, exitCode: number): object => ({ error: { message, exitCode } })

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ControlError('the request is no JSON', 64, { cause: error })
  }
}

/** Undefined when the request is too large; the rest of it is not read. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function reply(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify(body))
}
