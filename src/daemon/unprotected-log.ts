import type { Logger } from '../observe/logger.ts'
import type { Unprotected } from '../workloads/model.ts'

/** Who is restarted again and again is told of no more often than this. */
const AGAIN_MS = 3_600_000

/** Says of what is not protected when it begins and when it is over. */
export class UnprotectedLog {
  #standing: ReadonlyMap<string, Unprotected> = new Map()
  readonly #saidAtMs = new Map<string, number>()

  constructor(private readonly log: Logger) {}

  /** @param found everything that is not protected now */
  tell(found: readonly Unprotected[], nowMs: number): void {
    const now = new Map(found.map((one) => [`${one.reason} ${one.subject}`, one]))
    for (const [key, atMs] of this.#saidAtMs) {
      if (nowMs - atMs >= AGAIN_MS && !now.has(key)) this.#saidAtMs.delete(key)
    }
    for (const [key, { reason, subject, advice }] of now) {
      if (this.#saidAtMs.has(key)) continue
      this.#saidAtMs.set(key, nowMs)
      this.log.warn({ reason, subject, advice }, 'not protected')
    }
    for (const [key, { reason, subject }] of this.#standing) {
      if (!now.has(key)) this.log.debug({ reason, subject }, 'no longer unprotected')
    }
    this.#standing = now
  }
}
