import * as z from 'zod'

/**
 * A text that one of our parsers turns into a value; its reason is the schema's message. `expected` (`a duration like 30s`) is said to
 * who wrote something else than text.
 */
export function parsed<T extends object, U>(
  parse: (text: string) => T | { readonly reason: string },
  pick: (found: T) => U,
  expected?: string,
) {
  return z
    .string(expected === undefined ? {} : { error: `must be ${expected}` })
    .transform((text, context): U => {
      const found = parse(text)
      if (!isReason(found)) return pick(found)
      context.addIssue({ code: 'custom', message: found.reason, input: text })
      return z.NEVER
    })
}

const isReason = <T extends object>(
  found: T | { readonly reason: string },
): found is { readonly reason: string } => 'reason' in found
