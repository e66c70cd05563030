import type { Libc } from '../libc.ts'

/** As many messages as one call of the kernel takes here. */
export const SLOTS = 64
/** No datagram is longer. What is not written is not in memory either. */
const DATA_BYTES = 65_536
/** Of a `struct sockaddr_in6`, and room to spare. */
const NAME_BYTES = 32

/** In words of 32 bits: `struct mmsghdr`, `struct iovec` and a `struct cmsghdr` of 16 bits, as every 64-bit little-endian Linux has them. */
const HEADER = {
  words: 16,
  name: 0,
  nameBytes: 2,
  iov: 4,
  iovCount: 6,
  control: 8,
  controlBytes: 10,
  flags: 12,
  bytes: 14,
} as const
const IOV = { words: 4, base: 0, bytes: 2 } as const
const CONTROL = { words: 6, bytes: 0, level: 2, type: 3, data: 4 } as const

/** Says how long the datagrams are that the kernel makes of one message (udp(7)). */
export const [SOL_UDP, UDP_SEGMENT] = [17, 103]
const CONTROL_BYTES = 18

/** Memory that recvmmsg(2) and sendmmsg(2) read and write: messages, and whom they come from or go to. Lives as long as the process. */
export class MessageBatch {
  /** For the kernel: where the headers stand. */
  readonly address: number
  readonly #data = Buffer.allocUnsafeSlow(SLOTS * DATA_BYTES)
  readonly #names = Buffer.alloc(SLOTS * NAME_BYTES)
  readonly #nameBytes = new Uint8Array(SLOTS)
  readonly #vectors = new Uint32Array(SLOTS * IOV.words)
  readonly #headers = new Uint32Array(SLOTS * HEADER.words)
  readonly #controls = new Uint32Array(SLOTS * CONTROL.words)
  /** The slot behind those of a header. */
  readonly #ends = new Uint8Array(SLOTS)
  /** Addresses of the slots' vectors and names. */
  readonly #vectorsAt = new Uint32Array(SLOTS * 2)
  readonly #namesAt = new Uint32Array(SLOTS * 2)

  constructor(libc: Libc) {
    const data = libc.addressOf(this.#data)
    const names = libc.addressOf(this.#names)
    const controls = libc.addressOf(this.#controls)
    const vectors = libc.addressOf(this.#vectors)
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = BigInt(slot)
      const header = slot * HEADER.words
      putAddress(this.#vectors, slot * IOV.words + IOV.base, data + at * BigInt(DATA_BYTES))
      putAddress(this.#namesAt, slot * 2, names + at * BigInt(NAME_BYTES))
      putAddress(this.#vectorsAt, slot * 2, vectors + at * BigInt(IOV.words * 4))
      putAddress(this.#headers, header + HEADER.control, controls + at * BigInt(CONTROL.words * 4))
      const control = slot * CONTROL.words
      this.#controls[control + CONTROL.bytes] = CONTROL_BYTES
      this.#controls[control + CONTROL.level] = SOL_UDP
      this.#controls[control + CONTROL.type] = UDP_SEGMENT
      this.#cover(slot, slot, slot + 1)
      this.expect(slot)
    }
    this.address = Number(libc.addressOf(this.#headers))
  }

  /** Makes a slot ready for a message of any length from anybody: the kernel wrote the last one's over it. */
  expect(slot: number): void {
    this.#vectors[slot * IOV.words + IOV.bytes] = DATA_BYTES
    this.#headers[slot * HEADER.words + HEADER.nameBytes] = NAME_BYTES
  }

  /** @param to a socket address; undefined: to whom the socket is connected */
  put(slot: number, message: Uint8Array, to: Uint8Array | undefined): void {
    this.#data.set(message, slot * DATA_BYTES)
    this.#vectors[slot * IOV.words + IOV.bytes] = message.length
    if (to) this.#names.set(to, slot * NAME_BYTES)
    this.#nameBytes[slot] = to?.length ?? 0
  }

  /**
   * To be called when so many slots were filled, before they are sent. Neighbours of the same length to the same peer may share a header: then they pass through the
   * kernel as one message, and are datagrams of their own again where they leave it.
   * @param isJoined whether the message of a slot shares the header of the one before
   * @returns how many headers there are to send
   */
  arrange(count: number, isJoined: (slot: number) => boolean): number {
    let headers = 0
    for (let first = 0; first < count; headers++) {
      let end = first + 1
      while (end < count && isJoined(end)) end++
      this.#cover(headers, first, end)
      first = end
    }
    return headers
  }

  /** How many messages the first of the headers hold. */
  messagesIn(headers: number): number {
    return this.#ends[headers - 1] ?? 0
  }

  /** A copy of what came. */
  message(slot: number): Buffer {
    return copyOf(this.#data, slot * DATA_BYTES, this.#header(slot, HEADER.bytes))
  }

  /** A copy of the socket address that it came from. */
  from(slot: number): Buffer {
    return copyOf(this.#names, slot * NAME_BYTES, this.#header(slot, HEADER.nameBytes))
  }

  #cover(index: number, first: number, end: number): void {
    const header = index * HEADER.words
    this.#headers[header + HEADER.name] = this.#namesAt[first * 2] ?? 0
    this.#headers[header + HEADER.name + 1] = this.#namesAt[first * 2 + 1] ?? 0
    this.#headers[header + HEADER.nameBytes] = this.#nameBytes[first] ?? 0
    this.#headers[header + HEADER.iov] = this.#vectorsAt[first * 2] ?? 0
    this.#headers[header + HEADER.iov + 1] = this.#vectorsAt[first * 2 + 1] ?? 0
    this.#headers[header + HEADER.iovCount] = end - first
    const isOne = end - first === 1
    this.#headers[header + HEADER.controlBytes] = isOne ? 0 : CONTROL.words * 4
    if (!isOne)
      this.#controls[index * CONTROL.words + CONTROL.data] = this.#vectors[first * IOV.words + IOV.bytes] ?? 0
    this.#ends[index] = end
  }

  #header(slot: number, field: number): number {
    return this.#headers[slot * HEADER.words + field] ?? 0
  }
}

function copyOf(memory: Buffer, start: number, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes)
  memory.copy(copy, 0, start, start + bytes)
  return copy
}

function putAddress(words: Uint32Array, at: number, address: bigint): void {
  words[at] = Number(address & 0xffff_ffffn)
  words[at + 1] = Number(address >> 32n)
}
