import { followAliases } from '../dns/aliases.ts'
import { RCODE, TYPE } from '../dns/codes.ts'
import { answersIn, HEADER_BYTES, rcodeOf } from '../dns/header.ts'
import { MessageReader } from '../dns/message-reader.ts'
import { readSection, type ResourceRecord } from '../dns/records.ts'

/** What an upstream said of one question, as far as it is about that question. */
export interface Reply {
  readonly rcode: number
  readonly authenticated: boolean
  /** The question's name, its aliases, and what the last of them has. */
  readonly answers: readonly ResourceRecord[]
  /** Proof of absence. */
  readonly authority: readonly ResourceRecord[]
  /** How long it holds: of a negative one as its SOA says, undefined where nothing says it. */
  readonly ttlSeconds: number | undefined
  /** These are the first of its records, as many as a datagram holds. */
  readonly isCut: boolean
}

const HIGHEST_TTL = 0x7fff_ffff
/** The rest is not even read: a server with answers of 4,000 records and a TTL of 0 would keep the gateway busy with reading. */
const MOST_ANSWERS = 512
/** The kernel has to hold each of them before the answer leaves. A client connects to no more than the first ones. */
const MOST_ADDRESSES = 256

/**
 * Reads a message of an upstream, whose id and question were compared already. Keeps of it what is reached from the question by its
 * CNAME chain: all else may be there to be believed.
 * @throws MalformedMessage
 */
export function readReply(message: Buffer, name: string, type: number): Reply {
  const reader = new MessageReader(message)
  reader.skipKnown(HEADER_BYTES, name)
  reader.skip(4)
  const rcode = rcodeOf(message)
  const count = answersIn(message)
  const records = readSection(reader, Math.min(count, MOST_ANSWERS))
  const answers = upTo(MOST_ADDRESSES, followAliases(records, name, type))
  // Where so much is answered nothing is absent that would have to be proven.
  const authority =
    count > MOST_ANSWERS
      ? []
      : readSection(reader, message.readUInt16BE(8)).filter((record) => PROOFS.has(record.type))
  return {
    rcode,
    authenticated: (message.readUInt16BE(2) & 0x0020) !== 0,
    answers,
    authority: isNegative(rcode, answers, type) ? authority : [],
    ttlSeconds: lifetime(rcode, answers, authority, type),
    isCut: false,
  }
}

function upTo(most: number, answers: readonly ResourceRecord[]): readonly ResourceRecord[] {
  if (answers.length <= most) return answers
  let left = most
  return answers.filter(({ addresses }) => addresses.length === 0 || (left -= addresses.length) >= 0)
}

const PROOFS: ReadonlySet<number> = new Set([TYPE.SOA, TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3])

const isNegative = (rcode: number, answers: readonly ResourceRecord[], type: number): boolean =>
  rcode === RCODE.nxDomain || (rcode === RCODE.noError && !answers.some((record) => record.type === type))

function lifetime(
  rcode: number,
  answers: readonly ResourceRecord[],
  authority: readonly ResourceRecord[],
  type: number,
): number | undefined {
  const least = answers.reduce((sum, { ttlSeconds }) => Math.min(sum, ttlSeconds), HIGHEST_TTL)
  if (!isNegative(rcode, answers, type)) return rcode === RCODE.noError ? least : undefined
  const soa = authority.find((record) => record.type === TYPE.SOA)
  // Its last four bytes say how long an absence counts (RFC 2308).
  return soa && Math.min(least, soa.ttlSeconds, soa.data.readUInt32BE(soa.data.length - 4))
}
