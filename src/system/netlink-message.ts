/** An attribute of a message to the kernel: bytes with a number. */
export function attribute(type: number, ...value: readonly Buffer[]): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(4), ...value])
  bytes.writeUInt16LE(bytes.length, 0)
  bytes.writeUInt16LE(type, 2)
  return Buffer.concat([bytes, Buffer.alloc(padding(bytes.length))])
}

/** An attribute that consists of others. */
export const nested = (type: number, ...value: readonly Buffer[]): Buffer =>
  attribute(type | 0x8000, ...value)

export const padding = (length: number): number => -length & 3

export function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const zeroEnded = (text: string): Buffer => Buffer.from(`${text}\0`)

export interface NetfilterHeader {
  /** The subsystem of netfilter in the upper byte, the command in the lower one. */
  readonly type: number
  /** Flags beside `NLM_F_REQUEST`. */
  readonly flags?: number
  readonly sequence: number
  readonly family?: number
  /** The number of the queue, or the subsystem of a batch. */
  readonly resource?: number
}

export const FLAG = { request: 0x1, acknowledge: 0x4, create: 0x400, append: 0x800 } as const

/** One message to netfilter, as in linux/netfilter/nfnetlink.h. */
export function netfilterMessage(
  { type, flags = 0, sequence, family = 0, resource = 0 }: NetfilterHeader,
  ...attributes: readonly Buffer[]
): Buffer {
  const message = Buffer.concat([Buffer.alloc(20), ...attributes])
  message.writeUInt32LE(message.length, 0)
  message.writeUInt16LE(type, 4)
  message.writeUInt16LE(flags | FLAG.request, 6)
  message.writeUInt32LE(sequence >>> 0, 8)
  message.writeUInt8(family, 16)
  message.writeUInt16BE(resource, 18)
  return message
}
