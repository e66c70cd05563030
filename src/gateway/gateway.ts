import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import type { Grant, NameTable } from '../policy/name-table.ts'
import { MalformedMessage } from '../dns/message-reader.ts'
import { forwardedOf, isAskable, type Forwarded } from './askable.ts'
import { AskerWaits } from './asker-waits.ts'
import { Cache, type Cached } from './cache.ts'
import { denialOf, WHY } from './denial.ts'
import { encodeBad, encodeError, encodeReply } from './encode.ts'
import { Holds } from './holds.ts'
import { LearnedNames } from './learned.ts'
import type { Admission, Answering, Asker, GivenAddress, Outcome, QueryReport } from './model.ts'
import { isBad, readQuery, type Query } from './query.ts'
import { QueryRates } from './rate.ts'
import { readReply, type Reply } from './reply.ts'
import { targetsOf } from './targets.ts'
import { RCODE, TYPE, typeName } from '../dns/codes.ts'
import { answersIn, isTruncated } from '../dns/header.ts'

export interface Upstream {
  /** `done` is called once, now or later, with the answer, or with why there is none. */
  ask(question: Forwarded, done: (result: Buffer | Error) => void): void
}

export interface GatewayOptions {
  readonly upstream: Upstream
  readonly admission: Admission
  readonly answering: Answering
  readonly onQuery: (report: QueryReport) => void
  /** A fault of our own: nobody who sends something ends the daemon by it. */
  readonly onFault: (error: unknown) => void
  /** Epoch ms. */
  readonly nowMs?: () => number
}

/** What a client is told of an answer that is older than it should be (RFC 8767). */
const STALE_TTL_SECONDS = 30
/** No absence counts for longer. */
const LONGEST_NEGATIVE_MS = 300_000
/** An absence that does not say for how long. */
const PLAIN_NEGATIVE_MS = 5_000

/** `joined`: it may share its way through the kernel with others. */
export type Respond = (message: Buffer, joined: boolean) => void

interface Arrived {
  readonly message: Buffer
  readonly from: string
  readonly isUdp: boolean
  readonly respond: Respond
}

/** One question on its way from a container to its answer. */
interface Ask {
  readonly query: Query
  readonly asker: Asker
  readonly source: Address
  readonly name: string | undefined
  readonly grants: readonly Grant[]
  /** The name is in no list: the answer to an earlier question led to it. */
  readonly isLearned: boolean
  /** Of which the grants are. */
  readonly names: NameTable
  readonly isUdp: boolean
  readonly startedMs: number
  readonly respond: Respond
}

/** Undefined: nobody answered. */
type Waiting = (reply: Reply | undefined) => void

/**
 * Answers the questions of containers: only for names that the asking one may reach, and only when the kernel holds the addresses that the answer
 * names. Knows nothing of sockets; throws nothing, whatever it is given.
 */
export class Gateway {
  readonly #upstream: Upstream
  readonly #admission: Admission
  readonly #onQuery: GatewayOptions['onQuery']
  readonly #onFault: GatewayOptions['onFault']
  readonly #nowMs: () => number
  readonly #rates: QueryRates
  readonly #learned = new LearnedNames()
  readonly #holds = new Holds()
  readonly #waits = new AskerWaits()
  readonly cache = new Cache()
  /** Who waits for which answer of an upstream: who asks the same waits for the same one. */
  readonly #asked = new Map<string, Waiting[]>()
  #answering: Answering

  constructor({ upstream, admission, answering, onQuery, onFault, nowMs = Date.now }: GatewayOptions) {
    this.#upstream = upstream
    this.#admission = admission
    this.#answering = answering
    this.#onQuery = onQuery
    this.#onFault = onFault
    this.#nowMs = nowMs
    this.#rates = new QueryRates(perSecond(answering))
  }

  /** From the next question on. What containers learned counts no longer: it was learned under other rights. */
  setAnswering(answering: Answering): void {
    if (answering.names !== this.#answering.names) this.#learned.clear()
    this.#answering = answering
    this.#rates.setRate(perSecond(answering))
    this.#waits.look(answering.awaiting)
  }

  /** `respond` is called once, now or later. False: it never will be, since the sender deserves no answer. */
  handle(message: Buffer, from: string, isUdp: boolean, respond: Respond): boolean {
    try {
      return this.#handle({ message, from, isUdp, respond })
    } catch (error) {
      this.#onFault(error)
      return false
    }
  }

  /** @param hasWaited for who asks to be known */
  #handle(arrived: Arrived, hasWaited = false): boolean {
    const { message, from, respond } = arrived
    const startedMs = performance.now()
    const source = parseAddress(from.startsWith('::ffff:') ? from.slice(7) : from)
    const asker = source && this.#answering.askerOf(source)
    const waits = (): boolean => !hasWaited && source !== undefined && this.#wait(source, arrived)
    // Nobody of ours: an answer would make this an open resolver.
    if (!source || !asker) return waits()
    const report = (outcome: Outcome, more: Partial<QueryReport> = {}): void =>
      this.#onQuery({
        outcome,
        policy: asker.policies.join('+') || 'none',
        type: 'other',
        name: undefined,
        asker: asker.name,
        source,
        durationMs: performance.now() - startedMs,
        held: false,
        ...more,
      })
    if (!hasWaited && !this.#rates.take(source, startedMs)) {
      report('limited')
      return false
    }
    const query = readQuery(message)
    if (!query) {
      report('malformed')
      return false
    }
    if (isBad(query)) {
      respond(encodeBad(query), asker.sharesKernel)
      report('malformed')
      return true
    }
    const ask = this.#askOf(query, asker, source, arrived, startedMs)
    const { grants, isLearned } = ask
    if (grants.length === 0 && !(asker.anyName && ask.name !== undefined)) {
      if (!waits()) this.#deny(ask)
    } else if (isAskable(query.type, asker, isLearned)) this.#answer(ask)
    else this.#leaveEmpty(ask)
    return true
  }

  #askOf(query: Query, asker: Asker, source: Address, { isUdp, respond }: Arrived, startedMs: number): Ask {
    const name = query.dotted
    const { names } = this.#answering
    const { grants, isLearned } = name === undefined ? NOTHING : this.#grantsOf(asker, source, name)
    return { query, asker, source, name, grants, isLearned, names, isUdp, startedMs, respond }
  }

  #grantsOf(asker: Asker, source: Address, name: string): Pick<Ask, 'grants' | 'isLearned'> {
    const listed = ownOf(asker, this.#answering.names.match(name))
    if (listed.length > 0) return { grants: listed, isLearned: false }
    // Another container may have the address by now: what it learned is compared with whose lists hold.
    const learned = ownOf(asker, this.#learned.match(source, name, this.#nowMs()))
    return { grants: learned, isLearned: learned.length > 0 }
  }

  /** Whose rights are known in a moment is not denied in the name of nobody, or of who had the address before. */
  #wait(source: Address, arrived: Arrived): boolean {
    const { awaiting, holdNewMs } = this.#answering
    return this.#waits.wait(source, awaiting(source), holdNewMs, () => {
      try {
        this.#handle(arrived, true)
      } catch (error) {
        this.#onFault(error)
      }
    })
  }

  /** The name is allowed and the type is not. Any error would be taken for one of the name: that it has no such record is what clients cope with. */
  #leaveEmpty(ask: Ask): void {
    // An answer to ANY is a sample of what a server has at hand: it is of no use, and large.
    const rcode = ask.query.type === TYPE.ANY ? RCODE.notImp : RCODE.noError
    respondTo(ask, encodeError(ask.query, rcode, WHY.type))
    this.#tell(ask, 'denied')
  }

  #deny(ask: Ask): void {
    const { query, asker, source, isUdp } = ask
    const isAllowed = (name: string): boolean => this.#grantsOf(asker, source, name).grants.length > 0
    const { reply, why } = denialOf(query, this.#answering.config.denied, asker, isAllowed)
    respondTo(ask, encodeReply(query, reply, { isUdp, ttlOf: (ttl) => ttl, why }))
    this.#tell(ask, 'denied')
  }

  #answer(ask: Ask): void {
    const { query } = ask
    const forwarded = forwardedOf(query, ask.asker)
    const key = keyOf(forwarded)
    const nowMs = this.#nowMs()
    const cached = this.cache.fresh(key, nowMs)
    if (cached) return this.#give(ask, cached.replyTo(query), 'cached', ageOf(cached, nowMs))
    this.#fetch(key, forwarded, (reply) => {
      if (reply) return this.#give(ask, reply, 'answered', 0)
      const stale = this.cache.stale(key, this.#nowMs())
      if (stale) return this.#give(ask, stale.replyTo(query), 'stale', Number.POSITIVE_INFINITY)
      respondTo(ask, encodeError(query, RCODE.servFail))
      this.#tell(ask, 'failed')
    })
  }

  #fetch(key: string, forwarded: Forwarded, done: Waiting): void {
    const known = this.#asked.get(key)
    if (known) {
      known.push(done)
      return
    }
    const waiting = [done]
    this.#asked.set(key, waiting)
    const { name, type } = forwarded
    const end = (result: Buffer | Error): void => {
      const reply = result instanceof Error ? undefined : this.#take(result, key, name, type)
      this.#asked.delete(key)
      for (const one of waiting) {
        try {
          one(reply)
        } catch (error) {
          this.#onFault(error)
        }
      }
    }
    try {
      this.#upstream.ask(forwarded, end)
    } catch (error) {
      this.#onFault(error)
      // Or whoever asks for the name later would wait with those for ever.
      if (this.#asked.get(key) === waiting) end(new Error('the question could not be sent'))
    }
  }

  /** Undefined: it is of no use, or of less than an older one. */
  #take(message: Buffer, key: string, name: string, type: number): Reply | undefined {
    try {
      const reply = readReply(message, name, type)
      if (reply.rcode !== RCODE.noError && reply.rcode !== RCODE.nxDomain)
        return this.cache.stale(key, this.#nowMs()) ? undefined : reply
      this.cache.put(key, { message, reply }, this.#lifeMs(reply, type), this.#nowMs())
      return reply
    } catch (error) {
      if (!(error instanceof MalformedMessage)) this.#onFault(error)
      return undefined
    }
  }

  #lifeMs({ ttlSeconds, answers }: Reply, type: number): number {
    if (!answers.some((record) => record.type === type))
      return ttlSeconds === undefined ? PLAIN_NEGATIVE_MS : Math.min(ttlSeconds * 1000, LONGEST_NEGATIVE_MS)
    return this.#heldTtl(ttlSeconds ?? 0) * 1000
  }

  /** In seconds, as clients are told. */
  #heldTtl(ttlSeconds: number): number {
    const { minTtlMs, maxTtlMs } = this.#answering.config
    return Math.floor(Math.min(Math.max(ttlSeconds * 1000, minTtlMs), maxTtlMs) / 1000)
  }

  /** @param ageSeconds of the reply; infinite: its time is over */
  #give(ask: Ask, reply: Reply, outcome: Outcome, ageSeconds: number): void {
    const ttlOf = (ttl: number): number =>
      ageSeconds === Number.POSITIVE_INFINITY
        ? STALE_TTL_SECONDS
        : Math.max(0, this.#heldTtl(ttl) - ageSeconds)
    // What does not fit a datagram is not told, so it has not to be held: who wants it comes by TCP.
    const all = addressesOf(reply, ttlOf)
    const part = ask.isUdp && all.length > FEW_ADDRESSES ? firstOf(reply, ask.query, ttlOf) : reply
    const given = part === reply ? all : addressesOf(part, ttlOf)
    this.#learn(ask, part, ttlOf)
    const as = ask.grants.map((grant) => grant.as)
    const { refused, done, isFull } =
      given.length > 0
        ? this.#admission.admit(as, given, ask.asker.name)
        : { refused: NONE, done: undefined, isFull: false }
    if (isFull) {
      respondTo(ask, encodeError(ask.query, RCODE.servFail, WHY.crowded))
      return this.#tell(ask, 'crowded')
    }
    const told = refused.size === 0 ? part : without(refused, part)
    const why = refused.size === 0 ? undefined : WHY.leftOut
    const send = (held: boolean): void => {
      respondTo(ask, encodeReply(ask.query, told, { isUdp: ask.isUdp, ttlOf, why }))
      this.#tell(ask, reply.rcode === RCODE.servFail ? 'failed' : outcome, held)
    }
    if (!done) return send(false)
    this.#holds.wait(done, this.#answering.config.maxHoldMs, (isHeld) => {
      try {
        if (isHeld) return send(true)
        respondTo(ask, encodeError(ask.query, RCODE.servFail, WHY.withheld))
        this.#tell(ask, 'withheld', true)
      } catch (error) {
        this.#onFault(error)
      }
    })
  }

  /** Hosts behind a service are asked for next. Only a listed name leads to others: each further step would be a way to go on for ever. */
  #learn(ask: Ask, { answers }: Reply, ttlOf: (ttl: number) => number): void {
    const { source, grants, isLearned, names, query, name = '' } = ask
    if (grants.length === 0 || isLearned || names !== this.#answering.names) return
    for (const target of targetsOf(name, query.type, answers, grants)) {
      const untilMs = this.#nowMs() + Math.max(1, ttlOf(target.ttlSeconds)) * 1000
      this.#learned.learn(source, target.name, target.grants, untilMs)
    }
  }

  #tell(ask: Ask, outcome: Outcome, held = false): void {
    this.#onQuery({
      outcome,
      policy: ask.grants[0]?.policy ?? (ask.asker.policies.join('+') || 'none'),
      type: typeName(ask.query.type),
      name: ask.name,
      asker: ask.asker.name,
      source: ask.source,
      durationMs: performance.now() - ask.startedMs,
      held,
    })
  }
}

const respondTo = ({ respond, asker }: Ask, message: Buffer): void => respond(message, asker.sharesKernel)

/** What is left is no longer what somebody signed. */
const without = (refused: ReadonlySet<Address>, reply: Reply): Reply => ({
  ...reply,
  answers: reply.answers.filter(({ addresses }) => !addresses.some((one) => refused.has(one))),
  authenticated: false,
})

/** So many fit any datagram but the smallest. */
const FEW_ADDRESSES = 20

/** As much of a reply as a datagram tells. */
function firstOf(reply: Reply, query: Query, ttlOf: (ttl: number) => number): Reply {
  const message = encodeReply(query, reply, { isUdp: true, ttlOf })
  if (!isTruncated(message)) return reply
  return { ...reply, answers: reply.answers.slice(0, answersIn(message)), authority: [], isCut: true }
}

const NONE: ReadonlySet<Address> = new Set()
const NOTHING: Pick<Ask, 'grants' | 'isLearned'> = { grants: [], isLearned: false }

const UNIT_SECONDS = { second: 1, minute: 60, hour: 3600, day: 86_400 } as const
const perSecond = ({ config: { ratePerContainer: rate } }: Answering): number =>
  rate.count / UNIT_SECONDS[rate.per]

const keyOf = ({ type, dnssecOk, checkingDisabled, name }: Forwarded): string =>
  `${type} ${dnssecOk ? 1 : 0}${checkingDisabled ? 1 : 0} ${name}`

const ageOf = ({ storedAtMs }: Cached, nowMs: number): number => Math.floor((nowMs - storedAtMs) / 1000)

/** What of them is the asker's: mostly all. */
function ownOf({ policies }: Asker, grants: readonly Grant[]): readonly Grant[] {
  for (const { policy } of grants)
    if (!policies.includes(policy)) return grants.filter((grant) => policies.includes(grant.policy))
  return grants
}

function addressesOf({ answers }: Reply, ttlOf: (ttl: number) => number): GivenAddress[] {
  const given: GivenAddress[] = []
  for (const { addresses, ttlSeconds } of answers)
    for (const address of addresses) given.push({ address, ttlMs: ttlOf(ttlSeconds) * 1000 })
  return given
}
