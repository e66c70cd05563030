import { TooLongError } from './bounded-agent.ts'

/** An error text of the engine may be of any length, and it goes into the log and into `status`. */
const MOST_WORDS = 300

/** A question that the engine did not answer; `statusCode` when it answered with an error of its own. */
export class DockerError extends Error {
  override readonly name = 'DockerError'
  readonly statusCode: number | undefined
  /** The engine answered, but the answer is longer than the limit. */
  readonly isTooLong: boolean

  constructor(what: string, options: { readonly cause: unknown }) {
    const { cause } = options
    const words = cause instanceof Error ? cause.message.trim() : String(cause)
    super(`${what}: ${words.slice(0, MOST_WORDS)}`, words.length > MOST_WORDS ? {} : options)
    this.isTooLong = cause instanceof TooLongError
    this.statusCode =
      cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number'
        ? cause.statusCode
        : undefined
  }
}

export const orAbsent = async (answer: Promise<unknown>): Promise<unknown> => {
  try {
    return await answer
  } catch (error) {
    if (error instanceof DockerError && error.statusCode === 404) return undefined
    throw error
  }
}
