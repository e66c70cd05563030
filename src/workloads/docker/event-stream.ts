import type { DockerApi } from './api.ts'
import { EventLines, type DockerEvent } from './event-lines.ts'

/** @param hasUnreadable whether the engine sent something beside them that is no event, or that is too long to be read */
export type OnEvents = (events: readonly DockerEvent[], hasUnreadable: boolean) => void

/**
 * Gives the engine's events to `onEvents` as they come, from `sinceSeconds` on. It never resolves: it rejects when the stream cannot be opened,
 * breaks or ends, and when `onEvents` throws.
 */
export async function followEvents(
  api: DockerApi,
  sinceSeconds: number,
  signal: AbortSignal,
  onEvents: OnEvents,
): Promise<never> {
  const stream = await api.events(sinceSeconds, signal).catch((cause: unknown) => {
    throw new Error('opening the event stream of the engine', { cause })
  })
  const lines = new EventLines()
  return await new Promise<never>((_resolve, reject) => {
    const ended = () => reject(new Error('the event stream of the engine ended'))
    // When dockerd is lost, aborted, error and close come in any order, and end never does. An error without a listener would end our process.
    stream.on('error', (cause) => reject(new Error('the event stream of the engine broke', { cause })))
    for (const ending of ['aborted', 'end', 'close']) stream.on(ending, ended)
    stream.on('data', (chunk: Buffer) => {
      const { malformed } = lines
      try {
        const events = lines.push(chunk)
        onEvents(events, lines.malformed > malformed)
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    })
    if (signal.aborted) stream.destroy()
  })
}
