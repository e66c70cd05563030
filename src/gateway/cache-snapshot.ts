import * as z from 'zod'
import { MalformedMessage } from '../resolve/message-reader.ts'
import type { Cache } from './cache.ts'
import { encodeReply } from './encode.ts'
import type { Query } from './query.ts'
import { readReply } from './reply.ts'
import { isCut } from './upstream-message.ts'

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

/** What is asked often is worth a file; the rest can be asked again. */
const MOST_SAVED = 5_000

export function snapshotOf(cache: Cache): CacheSnapshot {
  const saved = [...cache.entries()].slice(-MOST_SAVED)
  const answers = saved.flatMap(([key, { reply, storedAtMs, expiresAtMs }]) => {
    const message = encodeReply(queryOf(key), reply, { isUdp: false, ttlOf: (ttl) => ttl })
    // With its names written out it is larger than a message may be.
    if (isCut(message)) return []
    return [{ key, message: message.toString('base64'), storedAtMs, expiresAtMs }]
  })
  return { answers }
}

/** Answers keep their age. What cannot be read is left out: it will be asked again. */
export function restoreCache(cache: Cache, { answers }: CacheSnapshot, nowMs: number): void {
  for (const { key, message, storedAtMs, expiresAtMs } of answers) {
    if (storedAtMs > nowMs) continue
    const { name, type } = queryOf(key)
    try {
      const reply = readReply(Buffer.from(message, 'base64'), name, type)
      cache.put(key, reply, expiresAtMs - storedAtMs, storedAtMs)
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error
    }
  }
}

/** By what is in the key of a cached answer. */
function queryOf(key: string): Query {
  const [type = '', flags = ''] = key.split(' ', 2)
  const name = key.slice(type.length + flags.length + 2)
  const asked = Buffer.alloc(name.length + 4)
  asked.write(name, 'latin1')
  asked.writeUInt16BE(Number(type), name.length)
  asked.writeUInt16BE(1, name.length + 2)
  const dnssecOk = flags.startsWith('1')
  return {
    id: 0,
    recursionDesired: true,
    checkingDisabled: false,
    name,
    dotted: undefined,
    asked,
    type: Number(type),
    edns: { dnssecOk },
    maxBytes: 65_535,
  }
}
