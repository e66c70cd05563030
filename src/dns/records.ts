import { formatAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import { CLASS_IN, TYPE } from './codes.ts'
import { MalformedMessage, MessageReader } from './message-reader.ts'

/** One record, with nothing in it that points elsewhere in a message. */
export interface ResourceRecord {
  /** In wire form, lower case. */
  readonly owner: string
  readonly type: number
  readonly ttlSeconds: number
  /** Names in it are written out. */
  readonly data: Buffer
  /** Of A and AAAA, and the hints of SVCB and HTTPS. */
  readonly addresses: readonly Address[]
  /** The name to which CNAME, MX, SRV, SVCB and HTTPS lead, in wire form. */
  readonly target: string | undefined
}

/** A message of 64 KiB holds no more records that are of any use. */
const MOST_RECORDS = 5_000
const HIGHEST_TTL = 0x7fff_ffff

/**
 * Reads `count` records from where the reader stands. Those of other classes than IN are left out.
 * @throws MalformedMessage
 */
export function readSection(reader: MessageReader, count: number): ResourceRecord[] {
  if (count > MOST_RECORDS) throw new MalformedMessage(`${count} records in a section`)
  const records: ResourceRecord[] = []
  for (let index = 0; index < count; index++) {
    const owner = reader.name()
    const type = reader.uint16()
    const isInternet = reader.uint16() === CLASS_IN
    const ttl = reader.uint32()
    const end = reader.dataEnd(reader.uint16())
    if (isInternet) {
      // RFC 2181: a TTL with its highest bit set counts as 0.
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
  // The data goes into our own message as it is, where a pointer would lead elsewhere.
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
