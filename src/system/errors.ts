export const errorMessage = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

const MOST_CAUSES = 8

/** The messages from the outermost error to its innermost cause, each told once. */
export function errorChain(error: unknown): string {
  const messages: string[] = []
  for (let current = error; current !== undefined && messages.length < MOST_CAUSES;) {
    const message = errorMessage(current)
    if (!messages.some((earlier) => earlier.includes(message))) messages.push(message)
    current = current instanceof Error ? current.cause : undefined
  }
  return messages.join(': ')
}
