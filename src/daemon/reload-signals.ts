import { oneAtATime } from '../system/one-at-a-time.ts'
import type { Daemon } from './daemon.ts'

/**
 * Answers each SIGHUP with a reload. Signals that come before the first pass was tried wait until then and are one reload: the start goes on with the config
 * that it has read, and would put it in the place of a later one. Signals that come during a reload are one reload after it.
 */
export function reloadOnSignals(
  starting: Promise<Pick<Daemon, 'reloadBySignal'>>,
  onError: (error: unknown) => void,
): () => void {
  const once = oneAtATime(async () => {
    const daemon = await starting
    await daemon.reloadBySignal().catch(onError)
  })
  let isWaiting = false
  const begin = (): void => {
    isWaiting = false
    void once()
  }
  return () => {
    if (isWaiting) return
    isWaiting = true
    // A start that fails ends the process.
    void starting.then(begin, () => undefined)
  }
}
