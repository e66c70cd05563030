import type { IsWhole } from '../dns/client.ts'
import { RCODE } from '../dns/codes.ts'
import { MalformedMessage } from '../dns/message-reader.ts'
import type { Question } from '../dns/question.ts'
import { forwardedOf } from './askable.ts'
import { Cache, type CachedAnswer, type UpstreamAnswer } from './cache.ts'
import { readReply, type Reply } from './reply.ts'
import type { Request } from './request.ts'
import { boundedTtl, staleTtl, ttlAfter, type TtlLimits } from './ttl.ts'

/** Whom the gateway asks. */
export interface Upstream {
  /** `done` is called once, now or later, with the answer, or with why there is none. After an answer that is not whole another server is asked. */
  ask(question: Question, done: (result: Buffer | Error) => void, isWhole: IsWhole): void
}

/** What is there to be answered, and where it comes from. */
export interface Resolved {
  readonly reply: Reply
  readonly origin: 'answered' | 'cached' | 'stale'
  /** What the records' TTLs become for clients. */
  readonly ttlOf: (ttlSeconds: number) => number
}

/** Undefined: no upstream answered, and nothing is known. */
type ResolveDone = (resolved: Resolved | undefined) => void

/** No absence counts for longer. */
const LONGEST_NEGATIVE_MS = 300_000
/** An absence that does not say for how long. */
const PLAIN_NEGATIVE_MS = 5_000

/** Answers from the cache, or else asks upstream; equal questions wait for the same answer. */
export class CachingResolver {
  readonly cache = new Cache()
  readonly #upstream: Upstream
  readonly #nowMs: () => number
  readonly #onFault: (error: unknown) => void
  #limits: TtlLimits
  /** Requests that wait for an answer of an upstream, by what was asked. */
  readonly #waiting = new Map<string, ((reply: Reply | undefined) => void)[]>()

  /** @param nowMs epoch ms */
  constructor(upstream: Upstream, limits: TtlLimits, nowMs: () => number, onFault: (error: unknown) => void) {
    this.#upstream = upstream
    this.#limits = limits
    this.#nowMs = nowMs
    this.#onFault = onFault
  }

  setLimits(limits: TtlLimits): void {
    this.#limits = limits
  }

  /** `done` is called once, now or later. */
  resolve({ query, asker }: Request, done: ResolveDone): void {
    const question = forwardedOf(query, asker)
    const key = keyOf(question)
    const nowMs = this.#nowMs()
    const cached = this.cache.fresh(key, nowMs)
    if (cached)
      return done({
        reply: cached.replyTo(query),
        origin: 'cached',
        ttlOf: ttlAfter(ageOf(cached, nowMs), this.#limits),
      })
    this.#ask(key, question, (reply) => {
      if (reply) return done({ reply, origin: 'answered', ttlOf: ttlAfter(0, this.#limits) })
      const stale = this.cache.stale(key, this.#nowMs())
      done(stale && { reply: stale.replyTo(query), origin: 'stale', ttlOf: staleTtl })
    })
  }

  #ask(key: string, question: Question, done: (reply: Reply | undefined) => void): void {
    const known = this.#waiting.get(key)
    if (known) {
      known.push(done)
      return
    }
    const waiting = [done]
    this.#waiting.set(key, waiting)
    // Read once, though both the upstream and we want to know whether it can be read.
    let read: UpstreamAnswer | undefined
    const isWhole = (message: Buffer): boolean => (read = this.#read(message, question)) !== undefined
    const end = (result: Buffer | Error): void => {
      const isRead = !(result instanceof Error) && (read?.message === result || isWhole(result))
      const reply = isRead && read ? this.#take(read, key, question.type) : undefined
      this.#waiting.delete(key)
      for (const one of waiting) {
        try {
          one(reply)
        } catch (error) {
          this.#onFault(error)
        }
      }
    }
    try {
      this.#upstream.ask(question, end, isWhole)
    } catch (error) {
      this.#onFault(error)
      // Otherwise later requests for the name would wait with these for ever.
      if (this.#waiting.get(key) === waiting) end(new Error('the question could not be sent'))
    }
  }

  /** Undefined: the answer is of less use than an older one. */
  #take(answer: UpstreamAnswer, key: string, type: number): Reply | undefined {
    const { reply } = answer
    try {
      if (reply.rcode !== RCODE.noError && reply.rcode !== RCODE.nxDomain)
        return this.cache.stale(key, this.#nowMs()) ? undefined : reply
      this.cache.put(key, answer, this.#lifeMs(reply, type), this.#nowMs())
      return reply
    } catch (error) {
      this.#onFault(error)
      return undefined
    }
  }

  /** Undefined: the message cannot be read. */
  #read(message: Buffer, { name, type }: Question): UpstreamAnswer | undefined {
    try {
      return { message, reply: readReply(message, name, type) }
    } catch (error) {
      if (!(error instanceof MalformedMessage)) this.#onFault(error)
      return undefined
    }
  }

  #lifeMs({ ttlSeconds, answers }: Reply, type: number): number {
    if (!answers.some((record) => record.type === type))
      return ttlSeconds === undefined ? PLAIN_NEGATIVE_MS : Math.min(ttlSeconds * 1000, LONGEST_NEGATIVE_MS)
    return boundedTtl(ttlSeconds ?? 0, this.#limits) * 1000
  }
}

const keyOf = ({ type, dnssecOk, checkingDisabled, name }: Question): string =>
  `${type} ${dnssecOk ? 1 : 0}${checkingDisabled ? 1 : 0} ${name}`

const ageOf = ({ storedAtMs }: CachedAnswer, nowMs: number): number => Math.floor((nowMs - storedAtMs) / 1000)
