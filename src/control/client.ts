import { request as httpRequest, type ClientRequest } from 'node:http'
import * as z from 'zod'
import { ControlError, SilentDaemonError } from './error.ts'
import { socketPath } from './place.ts'

/** How long a command waits, in milliseconds. */
export interface Patience {
  /** Until the daemon takes the request. */
  readonly takenMs: number
  /** Between two signs of life of a daemon that is at work on the request. */
  readonly silenceMs: number
  /** For the answer, however alive the daemon is. */
  readonly answerMs: number
}

/**
 * A command answers within three seconds when the daemon does not, and to read the kernel takes most of the third. One that took the request may
 * be busy with a list of 100,000 names: to give it up too early would call a change failed that is made.
 */
const PATIENCE: Patience = { takenMs: 2_000, silenceMs: 5_000, answerMs: 120_000 }

export interface CallOptions {
  /** Runtime directory of the daemon. */
  readonly directory: string
  readonly patience?: Partial<Patience>
  readonly signal?: AbortSignal
}

export type CallDaemon = <T>(name: string, body?: unknown) => Promise<T | undefined>

const envelope = z.union([
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ error: z.strictObject({ message: z.string(), exitCode: z.int().min(1).max(255) }) }),
])

/**
 * Asks the daemon of this network namespace. Undefined when none runs; rejects with {@link SilentDaemonError} when it gives no sign of life, and
 * with {@link ControlError} when it refuses, is not done in time, or may not be asked by us. `T` is what the handler of that name promises.
 */
export async function callDaemon<T>(
  name: string,
  body: unknown,
  options: CallOptions,
): Promise<T | undefined> {
  const path = await socketPath(options.directory)
  let text: string
  try {
    text = await post(path, `/${name}`, JSON.stringify(body ?? {}), options)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
    if (code === 'EACCES') throw new ControlError('only root may talk to the daemon', 1, { cause: error })
    // So many callers wait to be accepted already that the kernel takes no more.
    if (code === 'EAGAIN') throw new SilentDaemonError(false)
    if (error instanceof ControlError) throw error
    throw new ControlError('the daemon closed the connection before it answered', 1, { cause: error })
  }
  const answer = envelope.safeParse(parse(text))
  if (!answer.success) throw new ControlError('the daemon sent an answer that cannot be understood', 1)
  if ('error' in answer.data) throw new ControlError(answer.data.error.message, answer.data.error.exitCode)
  return answer.data.result as T
}

/**
 * The kernel connects us to a process that is stopped, too, and keeps for it what we send. So the body is sent when the daemon says that it
 * takes it ("100 Continue"): what was refused for want of an answer must not be carried out an hour later, when the process goes on.
 */
function post(socket: string, path: string, body: string, options: CallOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        socketPath: socket,
        path,
        method: 'POST',
        agent: false,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          expect: '100-continue',
        },
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      },
    )
    giveUpWhenSilent(request, { ...PATIENCE, ...options.patience })
    request.once('continue', () => request.end(body))
    request.once('error', reject)
    request.flushHeaders()
  })
}

/** Ends a request when the daemon shows no sign of life. */
function giveUpWhenSilent(request: ClientRequest, { takenMs, silenceMs, answerMs }: Patience): void {
  let signs = 0
  let taken = false
  let timer: NodeJS.Timeout | undefined
  const expectSignWithin = (ms: number): void => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const before = signs
      // Where we ourselves were kept from running, a sign of life may lie in the socket, unread.
      setImmediate(() => {
        if (signs === before) request.destroy(new SilentDaemonError(taken))
      })
    }, ms)
  }
  const noteSign = (): void => {
    signs += 1
    expectSignWithin(silenceMs)
  }
  const limit = setTimeout(() => {
    request.destroy(
      new ControlError(`the daemon is at work on it, but it was not done within ${answerMs / 1000} s`, 1),
    )
  }, answerMs)
  expectSignWithin(takenMs)
  request.once('continue', () => {
    taken = true
    signs += 1
    // A daemon of a version that gives no further signs until it is done: only the limit holds for it.
    clearTimeout(timer)
  })
  request.on('information', ({ statusCode }) => {
    if (statusCode !== 100) noteSign()
  })
  request.once('response', (response) => {
    noteSign()
    response.on('data', noteSign)
  })
  request.once('close', () => {
    clearTimeout(timer)
    clearTimeout(limit)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
