import { MalformedMessage, MessageReader } from '../dns/message-reader.ts'
import { CLASS_IN, RCODE, TYPE } from '../dns/codes.ts'
import { HEADER_BYTES } from '../dns/header.ts'

/** What a client takes by UDP where it says nothing about it (RFC 1035). */
const PLAIN_BYTES = 512

/** A question of a container. */
export interface Query {
  readonly id: number
  readonly recursionDesired: boolean
  readonly checkingDisabled: boolean
  /** In wire form (length bytes and all) as latin1, lower case. */
  readonly name: string
  /** `www.example.com`; undefined for the root, and for names with other labels than letters, digits, `-` and `_`. */
  readonly dotted: string | undefined
  /** Name, type and class as they were asked, letter case and all: the answer has to repeat them. */
  readonly asked: Buffer
  readonly type: number
  /** Undefined: it knows no extended DNS. */
  readonly edns: { readonly dnssecOk: boolean } | undefined
  /** What it takes by UDP. */
  readonly maxBytes: number
}

/** A message that is no good question, and the response code that says so. */
export interface BadQuery {
  readonly rcode: number
  readonly query: Pick<Query, 'id' | 'recursionDesired'> & { readonly asked?: Buffer }
}

/**
 * Reads what a container sent. Undefined for what deserves no answer: a message too short for a header, or an answer itself, since two gateways would answer
 * each other for ever. Never throws.
 */
export function readQuery(message: Buffer): Query | BadQuery | undefined {
  if (message.length < HEADER_BYTES) return undefined
  const id = message.readUInt16BE(0)
  const flags = message.readUInt16BE(2)
  if ((flags & 0x8000) !== 0) return undefined
  const head = { id, recursionDesired: (flags & 0x0100) !== 0 }
  const bad = (rcode: number): BadQuery => ({ rcode, query: head })
  if ((flags & 0x7800) !== 0) return bad(RCODE.notImp)
  const additionals = message.readUInt16BE(10)
  // One question, no answer, no authority.
  if (message.readUInt32BE(4) !== 0x0001_0000 || message.readUInt16BE(8) !== 0 || additionals > 4)
    return bad(RCODE.formErr)
  const asks = readName(message)
  if (!asks || asks.end + 4 > message.length) return bad(RCODE.formErr)
  const nameEnd = asks.end
  const end = nameEnd + 4
  const type = message.readUInt16BE(nameEnd)
  const isInternet = message.readUInt16BE(nameEnd + 2) === CLASS_IN
  const asked = message.subarray(HEADER_BYTES, end)
  try {
    const options = additionals === 0 ? undefined : readEdns(message, end, additionals)
    if (options === 'malformed') return bad(RCODE.formErr)
    if (!isInternet || type === TYPE.OPT) return { rcode: RCODE.refused, query: { ...head, asked } }
    if (type === TYPE.AXFR || type === TYPE.IXFR) return { rcode: RCODE.refused, query: { ...head, asked } }
    // Field by field: a spread takes as long as all else here.
    return {
      id,
      recursionDesired: head.recursionDesired,
      checkingDisabled: (flags & 0x0010) !== 0,
      name: asks.name,
      dotted: asks.dotted,
      asked,
      type,
      edns: options && { dnssecOk: options.dnssecOk },
      maxBytes: options?.bytes ?? PLAIN_BYTES,
    }
  } catch (error) {
    if (error instanceof MalformedMessage) return bad(RCODE.formErr)
    throw error
  }
}

export const isBad = (query: Query | BadQuery): query is BadQuery => 'rcode' in query

const HIGHEST_LABEL = 63
const HIGHEST_NAME = 255
const DOT = 0x2e

/** Only A-Z: DNS knows no other case. */
const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
)
const ORDINARY = Uint8Array.from({ length: 256 }, (_, byte) =>
  Number(/[a-z0-9_-]/.test(String.fromCharCode(byte))),
)
const wire = Buffer.alloc(HIGHEST_NAME)
const words = Buffer.alloc(HIGHEST_NAME)

/** Reads the name byte by byte into both forms, which is on the way of every question. Undefined: it is no name. A pointer is none, since in a question it could only point into the header. */
function readName(
  message: Buffer,
): { readonly name: string; readonly dotted: string | undefined; readonly end: number } | undefined {
  let isOrdinary = true
  for (let at = HEADER_BYTES, length = 0; ;) {
    const left = message[at] ?? HIGHEST_LABEL + 1
    const labelEnd = length + 1 + left
    if (left > HIGHEST_LABEL || labelEnd > HIGHEST_NAME || at + left >= message.length) return undefined
    wire[length] = left
    words[length] = DOT
    at++
    length++
    if (left === 0) {
      const isDotted = isOrdinary && length > 1
      return {
        name: wire.toString('latin1', 0, length),
        dotted: isDotted ? words.toString('latin1', 1, length - 1) : undefined,
        end: at,
      }
    }
    for (; length < labelEnd; at++, length++) {
      const byte = LOWER[message[at] ?? 0] ?? 0
      wire[length] = byte
      words[length] = byte
      if (ORDINARY[byte] === 0) isOrdinary = false
    }
  }
}

function readEdns(
  message: Buffer,
  start: number,
  count: number,
): { bytes: number; dnssecOk: boolean } | 'malformed' | undefined {
  const reader = new MessageReader(message)
  reader.moveTo(start)
  let found: { bytes: number; dnssecOk: boolean } | undefined
  for (let index = 0; index < count; index++) {
    const isRoot = reader.name() === '\0'
    const type = reader.uint16()
    const bytes = reader.uint16()
    const flags = reader.uint32()
    reader.moveTo(reader.dataEnd(reader.uint16()))
    if (type !== TYPE.OPT) continue
    if (found || !isRoot) return 'malformed'
    found = { bytes: Math.max(PLAIN_BYTES, bytes), dnssecOk: (flags & 0x8000) !== 0 }
  }
  return found
}
