import type { Lookup } from './model.ts'
import { formatAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import { CLASS_IN, TYPE_AAAA, TYPE_CNAME, type Question } from './question.ts'
import { MalformedMessage, MessageReader } from './message-reader.ts'

/** What a message turned out to be, seen from one question. */
export type Answer =
  /** Not an answer to this question (another id, name or type, not an answer at all): keep waiting, somebody may be guessing. */
  | { readonly kind: 'unrelated' }
  /** Cut off: only TCP has the whole of it. */
  | { readonly kind: 'truncated' }
  /** The server does not understand extended DNS: ask again without. */
  | { readonly kind: 'format-error' }
  | { readonly kind: 'lookup'; readonly lookup: Lookup }

const UNRELATED: Answer = { kind: 'unrelated' }
/** 16 aliases in a row are more than any zone in earnest has; resolvers stop at about the same. */
const MAX_CHAIN = 16
const HIGHEST_TTL_SECONDS = 0x7fff_ffff

/**
 * Reads a message as the answer to `question`. Addresses count only if they belong to the asked name or to one that its CNAME chain,
 * inside this message, leads to. Never throws: a broken message that bears our id and our question comes back as `malformed`.
 */
export function readAnswer(message: Buffer, id: number, question: Question): Answer {
  const reader = new MessageReader(message)
  try {
    if (!isAnswerTo(reader, message, id, question)) return UNRELATED
  } catch (error) {
    if (error instanceof MalformedMessage) return UNRELATED
    throw error
  }
  const flags = message.readUInt16BE(2)
  if ((flags & 0x0200) !== 0) return { kind: 'truncated' }
  const rcode = flags & 0x000f
  if (rcode === 1 || rcode === 4) return { kind: 'format-error' }
  if (rcode !== 0) return lookup(failure(rcode))
  try {
    return lookup(readAddresses(reader, message.readUInt16BE(6), question))
  } catch (error) {
    if (error instanceof MalformedMessage) return lookup({ kind: 'malformed', detail: error.message })
    throw error
  }
}

const lookup = (result: Lookup): Answer => ({ kind: 'lookup', lookup: result })

function isAnswerTo(reader: MessageReader, message: Buffer, id: number, question: Question): boolean {
  if (message.length < 12 || message.readUInt16BE(0) !== id) return false
  const answerBitAndOpcode = message.readUInt16BE(2) & 0xf800
  if (answerBitAndOpcode !== 0x8000 || message.readUInt16BE(4) !== 1) return false
  reader.skip(12)
  return (
    reader.name() === question.nameKey && reader.uint16() === question.type && reader.uint16() === CLASS_IN
  )
}

function failure(rcode: number): Lookup {
  if (rcode === 2) return { kind: 'servfail', detail: 'the server failed (SERVFAIL)' }
  if (rcode === 3) return { kind: 'nxdomain', detail: 'no such name (NXDOMAIN)' }
  if (rcode === 5) return { kind: 'refused', detail: 'the server refused to answer (REFUSED)' }
  return { kind: 'error', detail: `the server answered with code ${rcode}` }
}

interface Alias {
  readonly target: string
  readonly ttlMs: number
}
interface AddressRecord {
  readonly address: Address
  readonly ttlMs: number
}

function readAddresses(reader: MessageReader, count: number, question: Question): Lookup {
  const aliases = new Map<string, Alias>()
  const addresses = new Map<string, AddressRecord[]>()
  for (let index = 0; index < count; index++) {
    const owner = reader.name()
    const type = reader.uint16()
    const internet = reader.uint16() === CLASS_IN
    const ttlMs = ttlOf(reader.uint32())
    const dataEnd = reader.dataEnd(reader.uint16())
    if (internet && type === TYPE_CNAME) {
      const target = reader.name()
      if (reader.position !== dataEnd) throw new MalformedMessage('a CNAME of a wrong length')
      if (!aliases.has(owner)) aliases.set(owner, { target, ttlMs })
    } else if (internet && type === question.type) {
      const bytes = reader.bytesUntil(dataEnd)
      if (bytes.length !== (type === TYPE_AAAA ? 16 : 4))
        throw new MalformedMessage('an address of a wrong length')
      const record = { address: formatAddress([...bytes]), ttlMs }
      const known = addresses.get(owner)
      if (known) known.push(record)
      else addresses.set(owner, [record])
    }
    reader.moveTo(dataEnd)
  }
  return followChain(aliases, addresses, question)
}

function followChain(
  aliases: ReadonlyMap<string, Alias>,
  addresses: ReadonlyMap<string, readonly AddressRecord[]>,
  question: Question,
): Lookup {
  let owner = question.nameKey
  let chainTtlMs = Number.POSITIVE_INFINITY
  for (let hops = 0; hops <= MAX_CHAIN; hops++) {
    const found = addresses.get(owner)
    if (found) {
      const records = found.map(({ address, ttlMs }) => ({ address, ttlMs: Math.min(ttlMs, chainTtlMs) }))
      return { kind: 'addresses', records }
    }
    const alias = aliases.get(owner)
    if (!alias) return { kind: 'empty' }
    owner = alias.target
    chainTtlMs = Math.min(chainTtlMs, alias.ttlMs)
  }
  return { kind: 'malformed', detail: 'the CNAME chain is a loop or longer than 16' }
}

/** RFC 2181: a TTL with its highest bit set counts as 0. */
const ttlOf = (seconds: number): number => (seconds > HIGHEST_TTL_SECONDS ? 0 : seconds * 1000)
