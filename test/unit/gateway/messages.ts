import { encode, type Answer } from 'dns-packet'
import { isBad, readQuery, type Query } from '../../../src/gateway/query.ts'

/** A name as it stands in a message. */
export const wire = (name: string): string =>
  name === ''
    ? '\0'
    : `${name
        .split('.')
        .map((label) => String.fromCharCode(label.length) + label)
        .join('')}\0`

export interface Asking {
  readonly name?: string
  readonly type?: string
  readonly id?: number
  readonly edns?: number
  readonly dnssecOk?: boolean
  readonly checkingDisabled?: boolean
}

/** A question as a container asks it, by another implementation. */
export const question = ({
  name = 'a.example.com',
  type = 'A',
  id = 4711,
  edns,
  dnssecOk = false,
  checkingDisabled = false,
}: Asking = {}): Buffer =>
  encode({
    type: 'query',
    id,
    flags: 0x100 | (checkingDisabled ? 0x10 : 0),
    questions: [{ name, type: type as 'A', class: 'IN' }],
    additionals:
      edns === undefined && !dnssecOk
        ? []
        : [{ ...OPT, udpPayloadSize: edns ?? 1232, flags: dnssecOk ? 0x8000 : 0 }],
  })

const OPT = {
  type: 'OPT' as const,
  name: '.' as const,
  extendedRcode: 0,
  ednsVersion: 0,
  flag_do: false,
  options: [],
}

export function queryOf(message: Buffer): Query {
  const query = readQuery(message)
  if (!query || isBad(query)) throw new Error('a question of the test is none')
  return query
}

export interface Telling {
  readonly name?: string
  readonly type?: string
  readonly rcode?: number
  readonly flags?: number
  readonly authorities?: readonly Answer[]
}

/** What an upstream says. */
export const reply = (
  answers: readonly Answer[],
  { name = 'a.example.com', type = 'A', rcode = 0, flags = 0x180, authorities = [] }: Telling = {},
): Buffer =>
  encode({
    type: 'response',
    id: 0,
    flags: flags | rcode,
    questions: [{ name, type: type as 'A', class: 'IN' }],
    answers: [...answers],
    authorities: [...authorities],
  })

/** A record of a type that the other implementation does not know. */
export const unknownRecord = (name: string, type: number, data: Buffer, ttl = 60): Answer =>
  ({ name, type: `UNKNOWN_${type}`, class: 'IN', ttl, data }) as unknown as Answer

export const soa = (name: string, minimum = 300, ttl = 600): Answer => ({
  type: 'SOA',
  name,
  ttl,
  data: {
    mname: 'ns.example.com',
    rname: 'root.example.com',
    serial: 1,
    refresh: 2,
    retry: 3,
    expire: 4,
    minimum,
  },
})

/** Bytes of records that are put together by hand, behind a question for `name`. */
export function replyOf(
  name: string,
  type: number,
  sections: {
    readonly answers?: readonly Buffer[]
    readonly authority?: readonly Buffer[]
    readonly rcode?: number
  },
): Buffer {
  const { answers = [], authority = [], rcode = 0 } = sections
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0x8180 | rcode, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  head.writeUInt16BE(authority.length, 8)
  return Buffer.concat([head, Buffer.from(wire(name), 'latin1'), uint16(type, 1), ...answers, ...authority])
}

export function uint16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2)
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2)
  return bytes
}

/** A record whose owner is given by its bytes; `class` 1 unless said. */
export function record(
  owner: Buffer | string,
  type: number,
  data: Buffer,
  { ttl = 60, classOf = 1 }: { readonly ttl?: number; readonly classOf?: number } = {},
): Buffer {
  const ttlBytes = Buffer.alloc(4)
  ttlBytes.writeUInt32BE(ttl)
  return Buffer.concat([
    typeof owner === 'string' ? Buffer.from(wire(owner), 'latin1') : owner,
    uint16(type, classOf),
    ttlBytes,
    uint16(data.length),
    data,
  ])
}

/** A pointer to the name in the question. */
export const TO_QUESTION = uint16(0xc00c)
