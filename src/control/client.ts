import { request as httpRequest } from 'node:http'
import * as z from 'zod'
import { ControlError } from './error.ts'
import { socketPath } from './place.ts'

export interface CallOptions {
  /** Runtime directory of the daemon. */
  readonly directory: string
  /** Milliseconds without a byte from the daemon; default two minutes. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export type CallDaemon = <T>(name: string, body?: unknown) => Promise<T | undefined>

const envelope = z.union([
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ error: z.strictObject({ message: z.string(), exitCode: z.int().min(1).max(255) }) }),
])

/**
 * Asks the daemon of this network namespace. Undefined when none runs; rejects with {@link ControlError} when it refuses,
 * does not answer in time, or may not be asked by us. `T` is what the handler of that name promises.
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
    if (error instanceof ControlError) throw error
    throw new ControlError('the daemon broke off the conversation', 1, { cause: error })
  }
  const answer = envelope.safeParse(parse(text))
  if (!answer.success) throw new ControlError('the daemon gave an answer that is none', 1)
  if ('error' in answer.data) throw new ControlError(answer.data.error.message, answer.data.error.exitCode)
  return answer.data.result as T
}

function post(socket: string, path: string, body: string, options: CallOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        socketPath: socket,
        path,
        method: 'POST',
        agent: false,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.once('error', reject)
        response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
      },
    )
    const timeoutMs = options.timeoutMs ?? 120_000
    request.setTimeout(timeoutMs, () => {
      request.destroy(
        new ControlError(`the daemon did not answer within ${Math.round(timeoutMs / 1000)} s`, 1),
      )
    })
    request.once('error', reject)
    request.end(body)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
