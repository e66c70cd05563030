import type { QueryReport } from '../gateway/model.ts'
import type { Logger } from '../observe/logger.ts'

type Wish = 'denied' | 'all' | 'none'

/** A container's questions for one name are one line in this time, with their number. */
const AGAIN_MS = 60_000
/** Beyond this many lines in a window only the number of further ones is logged. */
const MOST_LINES = 50
const WINDOW_MS = 10_000
const MOST_REMEMBERED = 10_000

/** Logs which names were denied to which containers. */
export class QueryLog {
  readonly #said = new Map<string, { atMs: number; unsaid: number }>()
  #windowEndsMs = 0
  #lines = 0
  #unsaid = 0

  constructor(private readonly log: Logger) {}

  tell({ outcome, name, type, policy, asker, source }: QueryReport, wish: Wish, nowMs: number): void {
    if (wish === 'none' || (wish === 'denied' && outcome !== 'denied')) return
    const key = `${asker} ${name} ${type} ${outcome}`
    const known = this.#said.get(key)
    if (known && nowMs - known.atMs < AGAIN_MS) {
      known.unsaid++
      return
    }
    if (!this.#mayTell(nowMs)) return
    this.#said.delete(key)
    this.#said.set(key, { atMs: nowMs, unsaid: 0 })
    if (this.#said.size > MOST_REMEMBERED)
      for (const oldest of this.#said.keys()) {
        this.#said.delete(oldest)
        break
      }
    const fields = {
      container: asker,
      source,
      name: name ?? '(odd labels)',
      type,
      policy,
      ...(known && known.unsaid > 0 ? { againSinceLastTold: known.unsaid } : {}),
    }
    if (outcome === 'denied') this.log.warn(fields, 'DNS name denied')
    else this.log.info({ ...fields, outcome }, 'DNS name asked')
  }

  #mayTell(nowMs: number): boolean {
    if (nowMs >= this.#windowEndsMs) {
      if (this.#unsaid > 0)
        this.log.warn({ count: this.#unsaid }, 'more DNS names were asked for than are told')
      this.#windowEndsMs = nowMs + WINDOW_MS
      this.#lines = 0
      this.#unsaid = 0
    }
    if (this.#lines >= MOST_LINES) {
      this.#unsaid++
      return false
    }
    this.#lines++
    return true
  }
}
