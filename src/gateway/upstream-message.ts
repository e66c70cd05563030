import { randomBytes } from 'node:crypto'
import { TYPE } from './types.ts'

export interface UpstreamQuestion {
  /** Wire form (length bytes and all, the root at its end) as latin1, lower case. */
  readonly name: string
  readonly type: number
  readonly dnssecOk: boolean
  readonly checkingDisabled: boolean
}

const HEADER_BYTES = 12
const UDP_PAYLOAD_BYTES = 1232

/** Random bytes by the thousand: one call for each question would cost as much as sending it. */
let pool = randomBytes(8192)
let used = 0
function random16(): number {
  if (used + 2 > pool.length) {
    pool = randomBytes(8192)
    used = 0
  }
  used += 2
  return pool.readUInt16BE(used - 2)
}

/** 0 to 65535, nobody knows which. */
export const randomId = random16
export const randomBelow = (count: number): number => random16() % count

/**
 * The message that asks, with an id of 0. Letters of the name are upper or lower case at random: an answer has to repeat them, and who guesses has more to guess
 * (draft-vixie-dnsext-dns0x20).
 */
export function encodeUpstream(
  { name, type, dnssecOk, checkingDisabled }: UpstreamQuestion,
  edns: boolean,
): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + name.length + 4 + (edns ? 11 : 0))
  message.fill(0, 0, HEADER_BYTES)
  message.writeUInt16BE(checkingDisabled ? 0x0110 : 0x0100, 2)
  message.writeUInt16BE(1, 4)
  message.write(name, HEADER_BYTES, 'latin1')
  let bits = 0
  let left = 0
  const end = HEADER_BYTES + name.length
  for (let at = HEADER_BYTES; at < end; at++) {
    const byte = message[at] ?? 0
    // Length bytes are 63 at most, which no letter is.
    if (byte < 0x61 || byte > 0x7a) continue
    if (left === 0) {
      bits = random16()
      left = 16
    }
    if ((bits & 1) === 1) message[at] = byte - 0x20
    bits >>>= 1
    left--
  }
  message.writeUInt16BE(type, end)
  message.writeUInt16BE(1, end + 2)
  if (edns) {
    message.writeUInt16BE(1, 10)
    message[end + 4] = 0
    message.writeUInt16BE(TYPE.OPT, end + 5)
    message.writeUInt16BE(UDP_PAYLOAD_BYTES, end + 7)
    message.writeUInt32BE(dnssecOk ? 0x8000 : 0, end + 9)
    message.writeUInt16BE(0, end + 13)
  }
  return message
}

/** Where the question ends in a message that begins with one of this name. */
export const questionEnd = (name: string): number => HEADER_BYTES + name.length + 4

/** `same`: it answers what was asked, letter by letter; `other-case`: but for the case of letters; `other`: it does not. */
export function compareQuestion(sent: Buffer, end: number, message: Buffer): 'same' | 'other-case' | 'other' {
  if (message.length < end || (message.readUInt16BE(2) & 0xf800) !== 0x8000 || message.readUInt16BE(4) !== 1)
    return 'other'
  if (sent.compare(message, HEADER_BYTES, end, HEADER_BYTES, end) === 0) return 'same'
  const nameEnd = end - 4
  if (sent.compare(message, nameEnd, end, nameEnd, end) !== 0) return 'other'
  // Length bytes are 63 at most, so folding changes none of them.
  for (let at = HEADER_BYTES; at < nameEnd; at++) if (folded(sent[at]) !== folded(message[at])) return 'other'
  return 'other-case'
}

/** Only A-Z: DNS knows no other case. */
const folded = (byte = 0): number => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)

/** Whether the name of a message that asks has a letter whose case can be lost. */
export function hasCapitals(sent: Buffer): boolean {
  for (let at = HEADER_BYTES; sent[at]; at++) {
    const labelEnd = at + (sent[at] ?? 0)
    while (at < labelEnd) if (folded(sent[++at]) !== sent[at]) return true
  }
  return false
}

export const isCut = (message: Buffer): boolean => (message.readUInt16BE(2) & 0x0200) !== 0
export const rcodeOf = (message: Buffer): number => message.readUInt16BE(2) & 0x000f
export const answersIn = (message: Buffer): number => message.readUInt16BE(6)
