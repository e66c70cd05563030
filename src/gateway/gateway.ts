import { parseAddress } from '../net/address.ts'
import { Admitter, limitToAnswer } from './admit.ts'
import { AskerWaits } from './asker-waits.ts'
import { Authorizer, verdictOf } from './authorize.ts'
import type { Cache } from './cache.ts'
import { encodeBad } from './encode.ts'
import type { Admission, AnswerPolicy, Outcome, QueryReport } from './model.ts'
import { isBad, readQuery } from './query.ts'
import { QueryRates } from './query-rates.ts'
import { outcomeOf, reportOf, reportUnread } from './report.ts'
import type { Arrival, Request, Respond } from './request.ts'
import { CachingResolver, type Upstream } from './resolve.ts'
import { answerTo, denialTo, failureTo, nothingOfThisType, send } from './respond.ts'

export interface GatewayOptions {
  readonly upstream: Upstream
  readonly admission: Admission
  readonly policy: AnswerPolicy
  readonly onQuery: (report: QueryReport) => void
  /** A fault of our own, which must not end the daemon: containers choose what is sent here. */
  readonly onFault: (error: unknown) => void
  /** Epoch ms. */
  readonly nowMs?: () => number
}

/**
 * Answers the questions of containers: only for names that the asking one may reach, and only when the kernel holds the addresses that the answer
 * names. Knows nothing of sockets; throws nothing, whatever it is given.
 */
export class Gateway {
  readonly #onQuery: GatewayOptions['onQuery']
  readonly #onFault: GatewayOptions['onFault']
  readonly #rates: QueryRates
  readonly #askerWaits = new AskerWaits()
  readonly #authorizer: Authorizer
  readonly #resolver: CachingResolver
  readonly #admitter: Admitter
  #policy: AnswerPolicy

  constructor({ upstream, admission, policy, onQuery, onFault, nowMs = Date.now }: GatewayOptions) {
    this.#policy = policy
    this.#onQuery = onQuery
    this.#onFault = onFault
    this.#rates = new QueryRates(perSecond(policy))
    this.#authorizer = new Authorizer(policy.names, nowMs)
    this.#resolver = new CachingResolver(upstream, policy.config, nowMs, onFault)
    this.#admitter = new Admitter(admission, onFault)
  }

  get cache(): Cache {
    return this.#resolver.cache
  }

  /** From the next question on. */
  setPolicy(policy: AnswerPolicy): void {
    this.#policy = policy
    this.#rates.setRate(perSecond(policy))
    this.#authorizer.setNames(policy.names)
    this.#resolver.setLimits(policy.config)
    this.#askerWaits.endSettled(policy.askerState)
  }

  /** `respond` is called once, now or later. False: it never will be, since the sender deserves no answer. */
  handle(message: Buffer, from: string, isUdp: boolean, respond: Respond): boolean {
    return this.#serveSafely({ message, from, isUdp, respond, startedMs: performance.now() }, false)
  }

  #serveSafely(arrival: Arrival, hasWaited: boolean): boolean {
    try {
      return this.#serve(arrival, hasWaited)
    } catch (error) {
      this.#onFault(error)
      return false
    }
  }

  /**
   * The way of a question: read, authorize, resolve, admit, reply, report.
   * @param hasWaited for its asker to be known
   */
  #serve(arrival: Arrival, hasWaited: boolean): boolean {
    const { message, from, isUdp, respond, startedMs } = arrival
    const source = parseAddress(from.startsWith(MAPPED) ? from.slice(MAPPED.length) : from)
    if (!source) return false
    const waits = (): boolean => {
      const { askerState, askerWaitMs } = this.#policy
      const again = (): void => void this.#serveSafely({ ...arrival, startedMs: performance.now() }, true)
      return !hasWaited && this.#askerWaits.wait(source, askerState(source), askerWaitMs, again)
    }
    const asker = this.#policy.askerOf(source)
    // An answer to anybody else would make this an open resolver.
    if (!asker) return waits()
    if (!hasWaited && !this.#rates.take(source, startedMs)) {
      this.#onQuery(reportUnread(asker, source, startedMs, 'limited'))
      return false
    }

    const query = readQuery(message)
    if (!query || isBad(query)) {
      if (query) respond(encodeBad(query), asker.sharesKernel)
      this.#onQuery(reportUnread(asker, source, startedMs, 'malformed'))
      return query !== undefined
    }

    const { grants, isLearned, names } = this.#authorizer.rightsTo(query.dotted, asker, source)
    // Field by field: a spread would cost more than all else here.
    const request: Request = { query, asker, source, grants, isLearned, names, isUdp, startedMs, respond }
    const verdict = verdictOf(request)
    if (verdict === 'wrong-type') this.#finish(request, nothingOfThisType(request), 'denied')
    // A container whose rights are about to be known is not denied as an unknown one, or as the one that had the address before.
    else if (verdict === 'denied' && !waits()) this.#finish(request, this.#denialTo(request), 'denied')
    if (verdict !== 'allowed') return true

    this.#resolver.resolve(request, (resolved) => {
      if (!resolved) return this.#finish(request, failureTo(request), 'failed')
      const part = limitToAnswer(request, resolved)
      this.#authorizer.learn(request, part.reply.answers, part.ttlOf)
      this.#admitter.admit(request, part, this.#policy.config.maxHoldMs, (admitted) => {
        const waitedForKernel =
          admitted.kind === 'withheld' || (admitted.kind === 'admitted' && admitted.hasWaited)
        this.#finish(request, answerTo(request, part, admitted), outcomeOf(part, admitted), waitedForKernel)
      })
    })
    return true
  }

  #denialTo(request: Request): Buffer {
    const { asker, source } = request
    const isAllowed = (name: string): boolean =>
      this.#authorizer.rightsTo(name, asker, source).grants.length > 0
    return denialTo(request, this.#policy.config.denied, isAllowed)
  }

  #finish(request: Request, message: Buffer, outcome: Outcome, waitedForKernel = false): void {
    send(request, message)
    this.#onQuery(reportOf(request, outcome, waitedForKernel))
  }
}

/** How a socket of both families writes an IPv4 address. */
const MAPPED = '::ffff:'

const UNIT_SECONDS = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const
const perSecond = ({ config: { ratePerContainer: rate } }: AnswerPolicy): number =>
  rate.count / UNIT_SECONDS[rate.per]
