import { formatAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import { MalformedMessage, MessageReader } from '../resolve/message-reader.ts'
import { RCODE, TYPE } from './types.ts'

/** One record, with nothing in it that points elsewhere in a message. */
export interface ResourceRecord {
  /** In wire form, lower case. */
  readonly owner: string
  readonly type: number
  readonly ttlSeconds: number
  /** Names in it are written out. */
  readonly data: Buffer
  /** That it tells: of A and AAAA, and the hints of SVCB and HTTPS. */
  readonly addresses: readonly Address[]
  /** The name to which CNAME, MX, SRV, SVCB and HTTPS lead, in wire form. */
  readonly target: string | undefined
}

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

const CLASS_IN = 1
const HEADER_BYTES = 12
const MAX_CHAIN = 16
const HIGHEST_TTL = 0x7fff_ffff
/** A message of 64 KiB holds no more records than that of any use. */
const MOST_RECORDS = 5_000
/** The rest is not even read: who makes answers of 4,000 records that hold for no time would keep us reading. */
const MOST_ANSWERS = 512
/** Each has to be booked and known to the kernel whenever the answer is given: of more than anybody connects to the first ones serve. */
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
  const flags = message.readUInt16BE(2)
  const rcode = flags & 0x000f
  const count = message.readUInt16BE(6)
  const records = readSection(reader, Math.min(count, MOST_ANSWERS))
  const answers = upTo(MOST_ADDRESSES, related(records, name, type))
  // Where so much is answered nothing is absent that would have to be proven.
  const authority =
    count > MOST_ANSWERS
      ? []
      : readSection(reader, message.readUInt16BE(8)).filter((record) => PROOFS.has(record.type))
  return {
    rcode,
    authenticated: (flags & 0x0020) !== 0,
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

function readSection(reader: MessageReader, count: number): ResourceRecord[] {
  if (count > MOST_RECORDS) throw new MalformedMessage(`${count} records in a section`)
  const records: ResourceRecord[] = []
  for (let index = 0; index < count; index++) {
    const owner = reader.name()
    const type = reader.uint16()
    const isInternet = reader.uint16() === CLASS_IN
    const ttl = reader.uint32()
    const end = reader.dataEnd(reader.uint16())
    if (isInternet) {
      const ttlSeconds = ttl > HIGHEST_TTL ? 0 : ttl
      const { data, addresses, target } = readData(reader, type, end)
      records.push({ owner, type, ttlSeconds, data, addresses, target })
    }
    reader.moveTo(end)
  }
  return records
}

/** Bytes before the first name in the data of types that hold names which may be compressed, and after the last. */
const NAMES_IN: ReadonlyMap<number, { before: number; names: number; after: number }> = new Map([
  [TYPE.NS, { before: 0, names: 1, after: 0 }],
  [TYPE.CNAME, { before: 0, names: 1, after: 0 }],
  [TYPE.PTR, { before: 0, names: 1, after: 0 }],
  [TYPE.DNAME, { before: 0, names: 1, after: 0 }],
  [TYPE.SOA, { before: 0, names: 2, after: 20 }],
  [TYPE.MX, { before: 2, names: 1, after: 0 }],
  [TYPE.SRV, { before: 6, names: 1, after: 0 }],
])
const LEADS_ON: ReadonlySet<number> = new Set([TYPE.CNAME, TYPE.MX, TYPE.SRV])
const NO_ADDRESSES: readonly Address[] = []

function readData(
  reader: MessageReader,
  type: number,
  end: number,
): Pick<ResourceRecord, 'data' | 'addresses' | 'target'> {
  const layout = NAMES_IN.get(type)
  if (layout) return readNames(reader, layout, end, LEADS_ON.has(type))
  const data = Buffer.from(reader.bytesUntil(end))
  if (type === TYPE.A || type === TYPE.AAAA) {
    if (data.length !== (type === TYPE.A ? 4 : 16)) throw new MalformedMessage('an address of a wrong length')
    return { data, addresses: [formatAddress(data)], target: undefined }
  }
  if (type === TYPE.SVCB || type === TYPE.HTTPS) return { data, ...readService(data) }
  return { data, addresses: NO_ADDRESSES, target: undefined }
}

function readNames(
  reader: MessageReader,
  { before, names, after }: { before: number; names: number; after: number },
  end: number,
  leadsOn: boolean,
): Pick<ResourceRecord, 'data' | 'addresses' | 'target'> {
  const start = reader.position
  if (start + before > end) throw new MalformedMessage('a record that is too short')
  const parts = [reader.bytesUntil(start + before)]
  let target: string | undefined
  for (let index = 0; index < names; index++) {
    target = reader.name()
    parts.push(Buffer.from(target, 'latin1'))
  }
  if (reader.position + after !== end) throw new MalformedMessage('a record of a wrong length')
  parts.push(reader.bytesUntil(end))
  return { data: Buffer.concat(parts), addresses: NO_ADDRESSES, target: leadsOn ? target : undefined }
}

const IPV4_HINT = 4
const IPV6_HINT = 6

/** Priority, target and parameters of SVCB and HTTPS (RFC 9460). */
function readService(data: Buffer): Pick<ResourceRecord, 'addresses' | 'target'> {
  const reader = new MessageReader(data)
  reader.skip(2)
  const target = reader.name()
  // Handed on as it is, a pointer would lead somewhere else in our message.
  if (reader.position !== 2 + target.length) throw new MalformedMessage('a compressed name in a service')
  const addresses: Address[] = []
  while (reader.position < data.length) {
    const key = reader.uint16()
    const end = reader.dataEnd(reader.uint16())
    const size = key === IPV4_HINT ? 4 : key === IPV6_HINT ? 16 : undefined
    const value = reader.bytesUntil(end)
    if (size === undefined) continue
    if (value.length % size !== 0) throw new MalformedMessage('an address hint of a wrong length')
    for (let at = 0; at < value.length; at += size)
      addresses.push(formatAddress(value.subarray(at, at + size)))
  }
  // The root stands for the owner itself.
  return { addresses, target: target === '\0' ? undefined : target }
}

/** From the name that was asked along its aliases. */
function related(records: readonly ResourceRecord[], name: string, type: number): ResourceRecord[] {
  const first = records[0]
  if (records.length === 1 && first?.owner === name && first.type === type) return [first]
  const byOwner = groupByOwner(records)
  const kept: ResourceRecord[] = []
  let owner = name
  for (let hops = 0; hops <= MAX_CHAIN; hops++) {
    const own = byOwner.get(owner) ?? []
    const wanted = own.filter(
      (record) => record.type === type || record.type === TYPE.RRSIG || type === TYPE.ANY,
    )
    kept.push(...wanted)
    const alias = own.find((record) => record.type === TYPE.CNAME)
    if (!alias?.target || wanted.some((record) => record.type === type)) return kept
    kept.push(alias)
    owner = alias.target
  }
  throw new MalformedMessage('the CNAME chain is a loop or longer than 16')
}

function groupByOwner(records: readonly ResourceRecord[]): Map<string, ResourceRecord[]> {
  const groups = new Map<string, ResourceRecord[]>()
  for (const record of records) {
    const group = groups.get(record.owner)
    if (group) group.push(record)
    else groups.set(record.owner, [record])
  }
  return groups
}
