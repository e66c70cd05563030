import { Generations } from './generations.ts'
import { readReply, type Reply } from './reply.ts'

/** What an upstream said, and what was read of it. */
export interface UpstreamAnswer {
  readonly message: Buffer
  readonly reply: Reply
}

/** An answer with its time. */
export class CachedAnswer {
  /** A string, since what was read of it are a dozen objects, and most answers are never asked for again. */
  readonly #message: string
  /** Since it was asked for again. */
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

  /** To the question that it was stored for. */
  replyTo({ name, type }: { readonly name: string; readonly type: number }): Reply {
    return (this.#reply ??= readReply(this.message, name, type))
  }
}

/** How long an answer is of use when no upstream gives a newer one (RFC 8767). */
const STALE_MS = 86_400_000

/** So many bytes of an answer weigh as much as a small one: the message, and its records, each with what it takes beside its data. */
const BYTES_A_UNIT = 1_024
const BYTES_A_RECORD = 256
/**
 * More than an upstream sends by UDP, signatures included. Who owns an allowed name could replace the whole cache in seconds by larger answers,
 * and what is replaced stays in memory until the collector has run.
 */
const MOST_BYTES = 4_096

const weightOf = ({ answers, authority }: Reply): number =>
  1 + (bytesOf(answers) + bytesOf(authority)) / BYTES_A_UNIT

function bytesOf(records: Reply['answers']): number {
  let bytes = 0
  for (const { owner, data } of records) bytes += BYTES_A_RECORD + owner.length + data.length
  return bytes
}

/** Answers by question. Holds replies, never who asked. */
export class Cache {
  readonly #entries: Generations<CachedAnswer>

  /** @param most so many small answers; large ones count for several, since whoever owns an allowed name makes them as large as he likes */
  constructor(most = 40_000) {
    this.#entries = new Generations(most, ({ weight }) => weight)
  }

  get size(): number {
    return this.#entries.size
  }

  /** @param lifeMs as long as it holds; 0: it is not kept, nor is a message of more than 4 KiB */
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
