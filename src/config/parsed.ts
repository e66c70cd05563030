import * as z from 'zod'

/** A text that one of our parsers turns into a value; its reason is the schema's message. */
export function parsed<T extends object, U>(
  parse: (text: string) => T | { readonly reason: string },
  pick: (found: T) => U,
) {
  return z.string().transform((text, context): U => {
    const found = parse(text)
    if (!isReason(found)) return pick(found)
    context.addIssue({ code: 'custom', message: found.reason, input: text })
    return z.NEVER
  })
}

const isReason = <T extends object>(
  found: T | { readonly reason: string },
): found is { readonly reason: string } => 'reason' in found
