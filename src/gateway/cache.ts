import type { Reply } from './reply.ts'

export interface Cached {
  readonly reply: Reply
  /** Epoch ms. */
  readonly storedAtMs: number
  readonly expiresAtMs: number
}

/** How long an answer is of use when no upstream gives a newer one (RFC 8767). */
const STALE_MS = 86_400_000

/** Answers by question, the least recently used of too many forgotten first. Holds replies, never who asked. */
export class Cache {
  #entries = new Map<string, Cached>()

  constructor(private readonly most = 20_000) {}

  get size(): number {
    return this.#entries.size
  }

  /** @param lifeMs as long as it holds; 0: it is not kept */
  put(key: string, reply: Reply, lifeMs: number, nowMs: number): void {
    this.#entries.delete(key)
    if (lifeMs <= 0) return
    this.#entries.set(key, { reply, storedAtMs: nowMs, expiresAtMs: nowMs + lifeMs })
    if (this.#entries.size > this.most) for (const oldest of this.#entries.keys()) return this.#forget(oldest)
  }

  /** An answer that holds. A clock that was put back makes it older than it is, never younger. */
  fresh(key: string, nowMs: number): Cached | undefined {
    const found = this.#entries.get(key)
    if (!found || nowMs >= found.expiresAtMs || nowMs < found.storedAtMs) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, found)
    return found
  }

  /** An answer that held within the last day. */
  stale(key: string, nowMs: number): Cached | undefined {
    const found = this.#entries.get(key)
    if (!found || nowMs < found.storedAtMs) return undefined
    if (nowMs < found.expiresAtMs + STALE_MS) return found
    this.#forget(key)
    return undefined
  }

  entries(): Iterable<readonly [string, Cached]> {
    return this.#entries
  }

  clear(): void {
    this.#entries.clear()
  }

  #forget(key: string): void {
    this.#entries.delete(key)
  }
}
