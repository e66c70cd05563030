import type { StrayRoute } from '../policy/stray-routes.ts'
import type { Logger } from '../observe/logger.ts'
import type { Unprotected } from '../workloads/model.ts'
import type { StrayDns } from '../workloads/resolvers/stray-dns.ts'

/** A condition that comes and goes, as with a container that restarts, is logged no more often than this. */
const AGAIN_MS = 3_600_000

/** Something that `status` lists for as long as it is so. */
interface Words<T> {
  /** Two rows with the same key are the same condition. */
  readonly keyOf: (one: T) => string
  readonly fieldsOf: (one: T) => Readonly<Record<string, unknown>>
  readonly begins: string
  readonly ends: string
}

/** Logs when a condition begins and, at level debug, when it ends. */
class StandingLog<T> {
  #standing: ReadonlyMap<string, T> = new Map()
  readonly #saidAtMs = new Map<string, number>()

  constructor(
    private readonly log: Logger,
    private readonly words: Words<T>,
  ) {}

  /** @param found all conditions of this kind that hold now */
  tell(found: readonly T[], nowMs: number): void {
    const { keyOf, fieldsOf, begins, ends } = this.words
    const now = new Map(found.map((one) => [keyOf(one), one]))
    for (const [key, atMs] of this.#saidAtMs) {
      if (nowMs - atMs >= AGAIN_MS && !now.has(key)) this.#saidAtMs.delete(key)
    }
    for (const [key, one] of now) {
      if (this.#saidAtMs.has(key)) continue
      this.#saidAtMs.set(key, nowMs)
      this.log.warn(fieldsOf(one), begins)
    }
    for (const [key, one] of this.#standing) {
      if (!now.has(key)) this.log.debug(fieldsOf(one), ends)
    }
    this.#standing = now
  }
}

/** Conditions that `status` lists and that an operator who only reads the log should know of. */
export class ConditionLogs {
  readonly unprotected: StandingLog<Unprotected>
  readonly strayRoutes: StandingLog<StrayRoute>
  readonly strayDns: StandingLog<StrayDns>

  constructor(log: Logger) {
    this.unprotected = new StandingLog(log, {
      keyOf: ({ reason, subject }) => `${reason} ${subject}`,
      fieldsOf: ({ reason, subject, advice }) => ({ reason, subject, advice }),
      begins: 'not protected',
      ends: 'no longer unprotected',
    })
    this.strayRoutes = new StandingLog(log, {
      keyOf: ({ container, network, lost }) => JSON.stringify([container, network, lost]),
      fieldsOf: ({ container, network, lost }) => ({ container, network, lost }),
      begins: 'a container leaves by a network on which it lacks rights that it has on another one',
      ends: 'a container no longer leaves by a network on which it lacks rights',
    })
    this.strayDns = new StandingLog(log, {
      keyOf: ({ container, servers }) => JSON.stringify([container, servers]),
      fieldsOf: ({ container, servers }) => ({ container, servers }),
      begins: 'a container was given name servers that it may not ask',
      ends: 'a container no longer has name servers that it may not ask',
    })
  }
}
