import { LruMap } from './lru-map.ts'
import { readReply, type Reply } from './reply.ts'

/** A message of an upstream, and what was read of it. */
export interface UpstreamAnswer {
  readonly message: Buffer
  readonly reply: Reply
}

/** An answer in the cache. */
export class CachedAnswer {
  /** The message as a string: what was read of it are a dozen objects, and most answers are never asked for again. */
  readonly #message: string
  /** Read when the answer is asked for again. */
  #reply: Reply | undefined
  readonly weight: number
  /** Epoch ms. */
  readonly storedAtMs: number
  readonly expiresAtMs: number

  constructor({ message, reply }: UpstreamAnswer, storedAtMs: number, expiresAtMs: number) {
    this.#message = message.toString('latin1')
    this.weight = weightOf(reply) + message.length / BYTES_A_UNIT
    this.storedAtMs = storedAtMs
    this.expiresAtMs = expiresAtMs
  }

  /** As the upstream gave it. */
  get message(): Buffer {
    return Buffer.from(this.#message, 'latin1')
  }

  /** @param question the one that it was stored for */
  replyTo(question: { readonly name: string; readonly type: number }): Reply {
    return (this.#reply ??= readReply(this.message, question.name, question.type))
  }
}

/** How long an answer is of use when no upstream gives a newer one (RFC 8767). */
const STALE_MS = 86_400_000

/** An answer weighs one unit, and one more for as many bytes of its message and its records, each of which takes memory beside its data. */
const BYTES_A_UNIT = 1_024
const BYTES_A_RECORD = 256
/**
 * More than an upstream sends by UDP, signatures included. With larger answers the owner of an allowed name could replace the whole cache in seconds,
 * and what is replaced stays in memory until the garbage collector has run.
 */
const MOST_BYTES = 4_096

const weightOf = ({ answers, authority }: Reply): number =>
  1 + (bytesOf(answers) + bytesOf(authority)) / BYTES_A_UNIT

function bytesOf(records: Reply['answers']): number {
  let bytes = 0
  for (const { owner, data } of records) bytes += BYTES_A_RECORD + owner.length + data.length
  return bytes
}

/** Answers by question. It does not know which container asked. */
export class Cache {
  readonly #entries: LruMap<CachedAnswer>

  /** @param most the number of small answers that fit; a large one counts for several, since the owner of an allowed name chooses its size */
  constructor(most = 40_000) {
    this.#entries = new LruMap(most, ({ weight }) => weight)
  }

  get size(): number {
    return this.#entries.size
  }

  /** @param lifeMs how long the answer holds; with 0 it is not kept. Nor is a message of more than 4 KiB. */
  put(key: string, said: UpstreamAnswer, lifeMs: number, nowMs: number): void {
    if (lifeMs <= 0 || said.message.length > MOST_BYTES) this.#entries.delete(key)
    else this.#entries.set(key, new CachedAnswer(said, nowMs, nowMs + lifeMs))
  }

  /** An answer that holds. A clock that was put back makes it older than it is, never younger. */
  fresh(key: string, nowMs: number): CachedAnswer | undefined {
    const found = this.#entries.get(key)
    return found && nowMs < found.expiresAtMs && nowMs >= found.storedAtMs ? found : undefined
  }

  /** An answer that held within the last day. */
  stale(key: string, nowMs: number): CachedAnswer | undefined {
    const found = this.#entries.get(key)
    if (!found || nowMs < found.storedAtMs) return undefined
    if (nowMs < found.expiresAtMs + STALE_MS) return found
    this.#entries.delete(key)
    return undefined
  }

  /** The least lately used first. */
  entries(): Iterable<readonly [string, CachedAnswer]> {
    return this.#entries.entries()
  }
}
