import type { Libc } from '../libc.ts'

/** As many messages as one call of the kernel takes here. */
export const SLOTS = 64
/** No datagram is longer. What is not written is not in memory either. */
const DATA_BYTES = 65_536
/** Of a `struct sockaddr_in6`, and room to spare. */
const NAME_BYTES = 32

/** In words of 32 bits: `struct mmsghdr` and `struct iovec`, as every 64-bit little-endian Linux has them. */
const HEADER = { words: 16, name: 0, nameBytes: 2, iov: 4, iovCount: 6, flags: 12, bytes: 14 } as const
const IOV = { words: 4, base: 0, bytes: 2 } as const

/** Memory that recvmmsg(2) and sendmmsg(2) read and write: messages, and whom they come from or go to. Lives as long as the process. */
export class MessageBatch {
  /** For the kernel: where the headers stand. */
  readonly address: number
  readonly #data = Buffer.allocUnsafeSlow(SLOTS * DATA_BYTES)
  readonly #names = Buffer.alloc(SLOTS * NAME_BYTES)
  readonly #vectors = new Uint32Array(SLOTS * IOV.words)
  readonly #headers = new Uint32Array(SLOTS * HEADER.words)

  constructor(libc: Libc) {
    const data = libc.addressOf(this.#data)
    const names = libc.addressOf(this.#names)
    const vectors = libc.addressOf(this.#vectors)
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = BigInt(slot)
      const header = slot * HEADER.words
      putAddress(this.#vectors, slot * IOV.words + IOV.base, data + at * BigInt(DATA_BYTES))
      putAddress(this.#headers, header + HEADER.name, names + at * BigInt(NAME_BYTES))
      putAddress(this.#headers, header + HEADER.iov, vectors + at * BigInt(IOV.words * 4))
      this.#headers[header + HEADER.iovCount] = 1
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
    this.#headers[slot * HEADER.words + HEADER.nameBytes] = to?.length ?? 0
  }

  /** A copy of what came. */
  message(slot: number): Buffer {
    return copyOf(this.#data, slot * DATA_BYTES, this.#header(slot, HEADER.bytes))
  }

  /** A copy of the socket address that it came from. */
  from(slot: number): Buffer {
    return copyOf(this.#names, slot * NAME_BYTES, this.#header(slot, HEADER.nameBytes))
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
