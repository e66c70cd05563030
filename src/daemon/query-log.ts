import type { QueryReport } from '../gateway/model.ts'
import type { Logger } from '../observe/logger.ts'

type Wish = 'denied' | 'all' | 'none'

/** One container asking for one name is told of once in this time, with how often it did. */
const AGAIN_MS = 60_000
/** More lines than this within a window are a flood, of which only the number is told. */
const MOST_LINES = 50
const WINDOW_MS = 10_000
const MOST_REMEMBERED = 10_000

/** Says which names containers were denied, with the containers' names: the operator's first question is who asked. */
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
