/** Never twice at once: calls that come while it works become one that follows. `work` never rejects. */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let again = false
  const run = async (): Promise<void> => {
    do {
      again = false
      await work()
    } while (again)
    running = undefined
  }
  return () => {
    again = true
    return (running ??= run())
  }
}
