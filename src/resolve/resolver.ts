import { DnsClient, FEW_QUESTIONS } from '../dns/client.ts'
import { TYPE } from '../dns/codes.ts'
import { wireName } from '../dns/name.ts'
import type { NameServer } from '../dns/name-server.ts'
import { NoAnswer } from '../dns/no-answer.ts'
import type { Question } from '../dns/question.ts'
import type { Family, Hostname } from '../net/types.ts'
import { errorMessage } from '../system/errors.ts'
import { lookupOf, lookupWithout } from './answer.ts'
import type { Lookup } from './model.ts'
import { Slots } from './slots.ts'

export interface ResolverOptions {
  /** In the order of preference. */
  readonly servers: readonly NameServer[]
  /** For one look-up, over all servers and tries. */
  readonly timeoutMs: number
  /** Look-ups on the way at a time; more wait their turn. Default 256. */
  readonly concurrency?: number
  /** Certificates to trust, PEM; undefined: the public authorities that Node trusts. */
  readonly ca?: string
  /** Monotonic ms. */
  readonly nowMs?: () => number
}

const CALLED_OFF: Lookup = { kind: 'error', detail: 'the look-up was called off' }

/** Looks up the addresses of absolute names. */
export class Resolver {
  readonly #client: DnsClient
  readonly #slots: Slots
  #closed = false

  constructor({ concurrency = 256, ...options }: ResolverOptions) {
    this.#client = new DnsClient({ ...options, ports: FEW_QUESTIONS })
    this.#slots = new Slots(concurrency)
  }

  /** From the next look-up on. */
  setServers(servers: readonly NameServer[], timeoutMs?: number): void {
    this.#client.setServers(servers, timeoutMs)
  }

  /** Never rejects: what goes wrong is part of the result. */
  async lookup(name: Hostname, family: Family, signal?: AbortSignal): Promise<Lookup> {
    let question: Question
    try {
      const type = family === 4 ? TYPE.A : TYPE.AAAA
      question = { name: wireName(name), type, dnssecOk: false, checkingDisabled: false }
    } catch (error) {
      return { kind: 'error', detail: errorMessage(error) }
    }
    await this.#slots.take()
    try {
      return await this.#ask(question, signal)
    } finally {
      this.#slots.give()
    }
  }

  /** Ends every look-up on the way, as an `error`. */
  close(): void {
    this.#closed = true
    this.#client.close()
  }

  /** A question that is called off stays on its way until it is answered or its time is over; the answer is not read. */
  #ask(question: Question, signal: AbortSignal | undefined): Promise<Lookup> {
    return new Promise((resolve) => {
      if (signal?.aborted || this.#closed) return resolve(CALLED_OFF)
      const callOff = (): void => resolve(CALLED_OFF)
      signal?.addEventListener('abort', callOff, { once: true })
      const answered = (result: Buffer | NoAnswer, host: string): void => {
        signal?.removeEventListener('abort', callOff)
        if (this.#closed || signal?.aborted) return resolve(CALLED_OFF)
        resolve(result instanceof NoAnswer ? lookupWithout(result) : named(lookupOf(result, question), host))
      }
      // A server whose records cannot be read is no reason to give up while there is another one.
      this.#client.ask(question, answered, (message) => lookupOf(message, question).kind !== 'malformed')
    })
  }
}

/** Says which server failed. */
const named = (lookup: Lookup, host: string): Lookup =>
  'detail' in lookup && lookup.kind !== 'nxdomain'
    ? { ...lookup, detail: `${host}: ${lookup.detail}` }
    : lookup
