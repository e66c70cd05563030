import * as z from 'zod'
import { MalformedMessage } from '../dns/message-reader.ts'
import type { Cache } from './cache.ts'
import { readReply } from './reply.ts'

/** Questions with their answers as DNS messages, the least recently used first. Times are epoch ms. */
export const cacheSnapshot = z.strictObject({
  answers: z.array(
    z.strictObject({
      key: z.string(),
      message: z.base64(),
      storedAtMs: z.number(),
      expiresAtMs: z.number(),
    }),
  ),
})
export type CacheSnapshot = z.output<typeof cacheSnapshot>

/** Only what is asked often is worth saving. */
const MOST_SAVED = 5_000

export function snapshotOf(cache: Cache): CacheSnapshot {
  const saved = [...cache.entries()].slice(-MOST_SAVED)
  const answers = saved.map(([key, { message, storedAtMs, expiresAtMs }]) => ({
    key,
    message: message.toString('base64'),
    storedAtMs,
    expiresAtMs,
  }))
  return { answers }
}

/** Answers keep their age. What cannot be read is left out: it will be asked again. */
export function restoreCache(cache: Cache, { answers }: CacheSnapshot, nowMs: number): void {
  for (const { key, message: text, storedAtMs, expiresAtMs } of answers) {
    if (storedAtMs > nowMs) continue
    const message = Buffer.from(text, 'base64')
    const { name, type } = questionIn(key)
    try {
      cache.put(key, { message, reply: readReply(message, name, type) }, expiresAtMs - storedAtMs, storedAtMs)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
    }
  }
}

/** The question of a cached answer, whose key begins with the type and the flags. */
function questionIn(key: string): { name: string; type: number } {
  const [type = '', flags = ''] = key.split(' ', 2)
  return { type: Number(type), name: key.slice(type.length + flags.length + 2) }
}
