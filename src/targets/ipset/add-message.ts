import { bytesOf } from '../../net/address.ts'
import type { Address } from '../../net/types.ts'
import { clampTimeout, safeComment, type Additions, type ElementWrite } from './render.ts'

/** A message to the kernel, and the number that its acknowledgement bears. */
export interface AddMessage {
  readonly bytes: Buffer
  readonly sequence: number
}

/** Numbers of linux/netlink.h, linux/netfilter/nfnetlink.h and linux/netfilter/ipset/ip_set.h, which the kernel promises to keep. */
const NFNL_SUBSYS_IPSET = 6
const IPSET_CMD_ADD = 9
const PROTOCOL = 6
const NLM_F_REQUEST = 1
const NLM_F_ACK = 4
const AF_INET = 2
const AF_INET6 = 10
const NESTED = 0x8000
const NET_BYTE_ORDER = 0x4000
const ATTRIBUTE = { protocol: 1, setName: 2, data: 7, additions: 8, line: 9 } as const
const ELEMENT = { ip: 1, timeout: 6, comment: 26 } as const
const IP = { v4: 1, v6: 2 } as const
const HEADER_BYTES = 16
/** In an element: behind its own head, that of the address, and that of the address's bytes. */
const ADDRESS_AT = 12
const NLMSG_ERROR = 2

/** Attributes hold 65,535 bytes, and an element with the longest comment takes less than 300. */
const MOST_TOGETHER = 200

/** Adds addresses; networks have another form. Elements that exist get a new time-out and comment and keep their counters: without NLM_F_EXCL it is `ipset -exist add`. */
export function encodeAdditions(additions: readonly Additions[], nextSequence: () => number): AddMessage[] {
  return additions.flatMap(({ set, writes }) => {
    const messages: AddMessage[] = []
    for (let first = 0; first < writes.length; first += MOST_TOGETHER)
      messages.push(encodeOne(set, writes.slice(first, first + MOST_TOGETHER), nextSequence()))
    return messages
  })
}

/** What the kernel answers to a message: 0 or an error number; undefined: the answer is to another one. */
export function readAcknowledgement(answer: Buffer, sequence: number): number | undefined {
  if (answer.length < HEADER_BYTES + 4 || answer.readUInt16LE(4) !== NLMSG_ERROR) return undefined
  return answer.readUInt32LE(8) === sequence ? Math.abs(answer.readInt32LE(HEADER_BYTES)) : undefined
}

function encodeOne(set: string, writes: readonly ElementWrite[], sequence: number): AddMessage {
  const bytes = Buffer.alloc(HEADER_BYTES + 64 + writes.length * 300)
  let at = HEADER_BYTES
  bytes[at] = writes[0]?.element.includes(':') ? AF_INET6 : AF_INET
  at += 4
  at = putByte(bytes, at, ATTRIBUTE.protocol, PROTOCOL)
  at = putText(bytes, at, ATTRIBUTE.setName, set)
  at = putNumber(bytes, at, ATTRIBUTE.line, 0)
  at = nested(bytes, at, ATTRIBUTE.additions, (start) => putElements(bytes, start, writes))
  bytes.writeUInt32LE(at, 0)
  bytes.writeUInt16LE((NFNL_SUBSYS_IPSET << 8) | IPSET_CMD_ADD, 4)
  bytes.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, 6)
  bytes.writeUInt32LE(sequence, 8)
  return { bytes: bytes.subarray(0, at), sequence }
}

function putElements(bytes: Buffer, start: number, writes: readonly ElementWrite[]): number {
  let before: ElementWrite | undefined
  let beforeAt = start
  let at = start
  for (const write of writes) {
    const address = bytesOf(write.element as Address)
    const from = at
    // Mostly all of them are of one name and differ in nothing else.
    if (before && write.comment === before.comment && write.timeoutSeconds === before.timeoutSeconds) {
      at += bytes.copy(bytes, from, beforeAt, from)
      bytes.set(address, from + ADDRESS_AT)
    } else at = nested(bytes, from, ATTRIBUTE.data, (inner) => putElement(bytes, inner, address, write))
    before = write
    beforeAt = from
  }
  return at
}

function putElement(
  bytes: Buffer,
  start: number,
  address: readonly number[],
  { timeoutSeconds, comment }: ElementWrite,
): number {
  const type = address.length === 4 ? IP.v4 : IP.v6
  let at = nested(bytes, start, ELEMENT.ip, (from) => {
    bytes.set(address, from + 4)
    return putHead(bytes, from, type | NET_BYTE_ORDER, address.length)
  })
  at = putNumber(bytes, at, ELEMENT.timeout | NET_BYTE_ORDER, clampTimeout(timeoutSeconds))
  return putText(bytes, at, ELEMENT.comment, safeComment(comment))
}

/** Every `put` returns where the next attribute begins. */
function nested(bytes: Buffer, at: number, type: number, put: (at: number) => number): number {
  const end = put(at + 4)
  putHead(bytes, at, type | NESTED, end - at - 4)
  return end
}

function putByte(bytes: Buffer, at: number, type: number, value: number): number {
  bytes[at + 4] = value
  return putHead(bytes, at, type, 1)
}

function putNumber(bytes: Buffer, at: number, type: number, value: number): number {
  bytes.writeUInt32BE(value, at + 4)
  return putHead(bytes, at, type, 4)
}

/** Ends with a zero. */
function putText(bytes: Buffer, at: number, type: number, text: string): number {
  const length = bytes.write(text, at + 4, 'latin1')
  return putHead(bytes, at, type, length + 1)
}

function putHead(bytes: Buffer, at: number, type: number, length: number): number {
  bytes.writeUInt16LE(4 + length, at)
  bytes.writeUInt16LE(type, at + 2)
  return at + 4 + ((length + 3) & ~3)
}
