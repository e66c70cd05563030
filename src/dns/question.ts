import { CLASS_IN, TYPE } from './codes.ts'
import { HEADER_BYTES, isResponse, questionsIn } from './header.ts'
import { random16 } from './random.ts'

export interface Question {
  /** In wire form, lower case. */
  readonly name: string
  readonly type: number
  readonly dnssecOk: boolean
  readonly checkingDisabled: boolean
}

/** Small enough never to be fragmented on the way, large enough for some 70 addresses. */
const UDP_PAYLOAD_BYTES = 1232
const OPT_BYTES = 11
const RECURSION_DESIRED = 0x0100
const CHECKING_DISABLED = 0x0010

/**
 * The message that asks, with an id of 0. The letters of the name are upper or lower case at random: a genuine answer repeats them, so a forger has more to guess
 * (draft-vixie-dnsext-dns0x20).
 * @param edns whether it says that answers of 1,232 bytes may come by UDP (RFC 6891), which a few old servers refuse
 */
export function encodeQuestion({ name, type, dnssecOk, checkingDisabled }: Question, edns: boolean): Buffer {
  const message = Buffer.allocUnsafe(HEADER_BYTES + name.length + 4 + (edns ? OPT_BYTES : 0))
  message.fill(0, 0, HEADER_BYTES)
  message.writeUInt16BE(RECURSION_DESIRED | (checkingDisabled ? CHECKING_DISABLED : 0), 2)
  message.writeUInt16BE(1, 4)
  message.write(name, HEADER_BYTES, 'latin1')
  const end = HEADER_BYTES + name.length
  mixCase(message, HEADER_BYTES, end)
  message.writeUInt16BE(type, end)
  message.writeUInt16BE(CLASS_IN, end + 2)
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

function mixCase(message: Buffer, start: number, end: number): void {
  let bits = 0
  let left = 0
  for (let at = start; at < end; at++) {
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
}

/** Where the question ends in a message that begins with one for this name. */
export const questionEnd = (name: string): number => HEADER_BYTES + name.length + 4

/** Whether a message answers what was asked. `same`: letter by letter; `other-case`: but for the case of letters; `other`: not at all. */
export function compareQuestion(sent: Buffer, end: number, message: Buffer): 'same' | 'other-case' | 'other' {
  if (message.length < end || !isResponse(message) || questionsIn(message) !== 1) return 'other'
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
