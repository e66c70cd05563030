import * as z from 'zod'

/** Why a text cannot be used, and what to write instead. */
export interface Refused {
  readonly reason: string
}

/**
 * A text that one of our parsers turns into a value; the reason of a refusal is the schema's message.
 * @param expected what has to be written, such as `a duration like 30s`: the message for a value that is no text
 */
export function parsed<T extends object, U>(
  parse: (text: string) => T | Refused,
  pick: (found: T) => U,
  expected?: string,
) {
  return z
    .string(expected === undefined ? {} : { error: `must be ${expected}` })
    .transform((text, context): U => {
      const found = parse(text)
      if (!isRefused(found)) return pick(found)
      context.addIssue({ code: 'custom', message: found.reason, input: text })
      return z.NEVER
    })
}

const isRefused = <T extends object>(found: T | Refused): found is Refused => 'reason' in found
