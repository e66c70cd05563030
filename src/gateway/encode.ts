import type { BadQuery, Query } from './query.ts'
import type { ResourceRecord } from '../dns/records.ts'
import type { Reply } from './reply.ts'
import { CLASS_IN, RCODE, TYPE } from '../dns/codes.ts'
import { HEADER_BYTES } from '../dns/header.ts'
import { encodeExtendedError, type ExtendedError } from './extended-error.ts'

/** No datagram of ours is fragmented on the way. */
const MOST_UDP_BYTES = 1232
const MOST_TCP_BYTES = 65_535
const OPT_BYTES = 11
const HIGHEST_POINTER = 0x3fff

export interface EncodeOptions {
  readonly isUdp: boolean
  /** What records' TTLs become. */
  readonly ttlOf: (ttlSeconds: number) => number
  /** Told to clients that know extended DNS. */
  readonly why?: ExtendedError | undefined
}

const scratch = Buffer.allocUnsafe(MOST_TCP_BYTES)

/**
 * The message that answers a query. What does not fit into a datagram is left out, and the client is told to come by TCP. The first records are in it all the same, aliases before
 * what they lead to, since some clients use no TCP.
 */
export function encodeReply(query: Query, reply: Reply, { isUdp, ttlOf, why }: EncodeOptions): Buffer {
  const most = isUdp ? Math.min(query.maxBytes, MOST_UDP_BYTES) : MOST_TCP_BYTES
  const writer = new Writer(query, most, why)
  let fits = true
  for (const record of reply.answers) fits &&= writer.record(record, ttlOf(record.ttlSeconds))
  const answers = writer.records
  const dnssec = query.edns?.dnssecOk ?? false
  for (const record of reply.authority)
    if (fits && (dnssec || record.type === TYPE.SOA)) fits = writer.record(record, ttlOf(record.ttlSeconds))
  const isCut = !fits || reply.isCut
  return writer.finish({
    rcode: reply.rcode,
    answers,
    authority: writer.records - answers,
    isCut,
    // What was authenticated is the whole answer.
    authenticated: reply.authenticated && !isCut,
  })
}

/** An answer without records. */
export const encodeError = (query: Query, rcode: number, why?: ExtendedError): Buffer =>
  new Writer(query, MOST_UDP_BYTES, why).finish({ rcode, answers: 0, authority: 0 })

/** The answer to a message that is no good question. */
export function encodeBad({ query, rcode }: BadQuery): Buffer {
  const asked = query.asked ?? Buffer.alloc(0)
  const message = Buffer.alloc(HEADER_BYTES + asked.length)
  message.writeUInt16BE(query.id, 0)
  message.writeUInt16BE(0x8080 | (query.recursionDesired ? 0x0100 : 0) | rcode, 2)
  message.writeUInt16BE(query.asked ? 1 : 0, 4)
  asked.copy(message, HEADER_BYTES)
  return message
}

const NO_DATA = {
  answers: [],
  authority: [],
  authenticated: false,
  ttlSeconds: undefined,
  isCut: false,
} as const
export const REFUSED: Reply = { rcode: RCODE.refused, ...NO_DATA }
export const NXDOMAIN: Reply = { rcode: RCODE.nxDomain, ...NO_DATA }
export const EMPTY: Reply = { rcode: RCODE.noError, ...NO_DATA }

const NO_OPTIONS = Buffer.alloc(0)

/** Writes into one buffer that all messages share, and returns a copy. */
class Writer {
  records = 0
  #at: number
  /** Where records have to end: the options come behind them. */
  readonly #end: number
  /** Where names stand that later ones may point to, except that of the question. */
  #places: Map<string, number> | undefined

  constructor(
    private readonly query: Query,
    most: number,
    private readonly why?: ExtendedError,
  ) {
    this.#end = most - (query.edns ? OPT_BYTES : 0)
    this.#at = HEADER_BYTES + query.asked.length
    query.asked.copy(scratch, HEADER_BYTES)
  }

  /** False: it does not fit. */
  record({ owner, type, data, target }: ResourceRecord, ttlSeconds: number): boolean {
    const pointer = owner === this.query.name ? HEADER_BYTES : this.#places?.get(owner)
    const ownerBytes = pointer === undefined ? owner.length : 2
    if (this.#at + ownerBytes + 10 + data.length > this.#end) return false
    if (pointer === undefined) {
      this.#remember(owner, this.#at)
      scratch.write(owner, this.#at, 'latin1')
    } else scratch.writeUInt16BE(0xc000 | pointer, this.#at)
    let at = this.#at + ownerBytes
    at = scratch.writeUInt16BE(type, at)
    at = scratch.writeUInt16BE(CLASS_IN, at)
    at = scratch.writeUInt32BE(ttlSeconds, at)
    at = scratch.writeUInt16BE(data.length, at)
    data.copy(scratch, at)
    if (type === TYPE.CNAME && target !== undefined) this.#remember(target, at)
    this.#at = at + data.length
    this.records++
    return true
  }

  finish(header: {
    readonly rcode: number
    readonly answers: number
    readonly authority: number
    readonly isCut?: boolean
    readonly authenticated?: boolean
  }): Buffer {
    const { query } = this
    scratch.writeUInt16BE(query.id, 0)
    scratch.writeUInt16BE(
      0x8080 |
        (header.isCut ? 0x0200 : 0) |
        (query.recursionDesired ? 0x0100 : 0) |
        (header.authenticated ? 0x0020 : 0) |
        (query.checkingDisabled ? 0x0010 : 0) |
        header.rcode,
      2,
    )
    scratch.writeUInt16BE(1, 4)
    scratch.writeUInt16BE(header.answers, 6)
    scratch.writeUInt16BE(header.authority, 8)
    scratch.writeUInt16BE(query.edns ? 1 : 0, 10)
    if (query.edns) {
      scratch[this.#at] = 0
      scratch.writeUInt16BE(TYPE.OPT, this.#at + 1)
      scratch.writeUInt16BE(MOST_UDP_BYTES, this.#at + 3)
      scratch.writeUInt32BE(query.edns.dnssecOk ? 0x8000 : 0, this.#at + 5)
      const error = this.why ? encodeExtendedError(this.why) : NO_OPTIONS
      // Records go first (RFC 8914): a client that has to come by TCP for the reason would gain nothing.
      const options = this.#at + error.length <= this.#end ? error : NO_OPTIONS
      scratch.writeUInt16BE(options.length, this.#at + 9)
      options.copy(scratch, this.#at + OPT_BYTES)
      this.#at += OPT_BYTES + options.length
    }
    const message = Buffer.allocUnsafe(this.#at)
    scratch.copy(message, 0, 0, this.#at)
    return message
  }

  #remember(name: string, at: number): void {
    if (at > HIGHEST_POINTER || name === this.query.name || this.#places?.has(name)) return
    this.#places ??= new Map()
    this.#places.set(name, at)
  }
}
