import { oneAtATime } from '../system/one-at-a-time.ts'

/**
 * Answers each SIGHUP with a reload. Those that come before the first policy was tried wait until then, and all of them are one reload: the start goes on
 * with the config that it has read, and would put that in the place of a later one. Signals that come while a reload runs are one that follows.
 * @param firstTried resolves when the start is done with the config that it has read
 */
export function reloadOnSignals(
  firstTried: Promise<void>,
  reload: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => void {
  const once = oneAtATime(async () => {
    await reload().catch(onError)
  })
  let isWaiting = false
  return () => {
    if (isWaiting) return
    isWaiting = true
    const begin = (): void => {
      isWaiting = false
      void once()
    }
    void firstTried.then(begin)
  }
}
