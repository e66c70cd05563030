import { addressBytes, checksum, join, u16, u32, u8, withU16 } from './bytes.ts'

export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  ipip: 4,
  tcp: 6,
  udp: 17,
  ipv6: 41,
  routing: 43,
  fragment: 44,
  gre: 47,
  icmp6: 58,
  destinationOptions: 60,
} as const

export interface Ends {
  readonly src: string
  readonly dst: string
}

export interface PacketOptions extends Ends {
  readonly protocol: number
  readonly payload: Buffer
  /** IPv4: options, a multiple of four bytes. */
  readonly options?: Buffer
  /** IPv4: flags and offset as in the header. */
  readonly fragment?: number
  readonly id?: number
  readonly ttl?: number
}

/** IPv4 or IPv6, by the address of the destination. */
export function ip(packet: PacketOptions): Buffer {
  const { src, dst, protocol, payload, options = Buffer.alloc(0), fragment = 0, id = 7, ttl = 64 } = packet
  const ends = join(addressBytes(src), addressBytes(dst))
  if (dst.includes(':')) return join(u32(0x60000000), u16(payload.length), u8(protocol, ttl), ends, payload)
  const header = join(
    u8(0x45 + options.length / 4, 0),
    u16(20 + options.length + payload.length, id, fragment),
    u8(ttl, protocol),
    u16(0),
    ends,
    options,
  )
  return join(withU16(header, 10, checksum(header)), payload)
}

export function udp({ src, dst }: Ends, from: number, to: number, payload: Buffer): Buffer {
  const datagram = join(u16(from, to, 8 + payload.length, 0), payload)
  return withU16(datagram, 6, sumOf({ src, dst }, PROTOCOL.udp, datagram) || 0xffff)
}

export const TCP_FLAG = { fin: 1, syn: 2, rst: 4, push: 8, ack: 16 } as const

export function tcp(ends: Ends, from: number, to: number, flags: number, payload: Buffer): Buffer {
  const segment = join(u16(from, to), u32(1000, 2000), u8(5 << 4, flags), u16(64240, 0, 0), payload)
  return withU16(segment, 16, sumOf(ends, PROTOCOL.tcp, segment))
}

/** ICMP or ICMPv6; `rest` is all after the checksum. */
export function icmp(ends: Ends, type: number, code: number, rest: Buffer): Buffer {
  const message = join(u8(type, code), u16(0), rest)
  const six = ends.dst.includes(':')
  return withU16(message, 2, six ? sumOf(ends, PROTOCOL.icmp6, message) : checksum(message))
}

export const icmpNumber = ({ dst }: Ends): number => (dst.includes(':') ? PROTOCOL.icmp6 : PROTOCOL.icmp)

/** A whole packet: an echo request that carries this. */
export const echo = (ends: Ends, payload: Buffer, id = 7): Buffer =>
  ip({
    ...ends,
    protocol: icmpNumber(ends),
    payload: icmp(ends, ends.dst.includes(':') ? 128 : 8, 0, join(u16(id, 1), payload)),
  })

/** A whole packet: a datagram. */
export const datagram = (ends: Ends, from: number, to: number, payload: Buffer): Buffer =>
  ip({ ...ends, protocol: PROTOCOL.udp, payload: udp(ends, from, to, payload) })

/** A whole packet: a SYN, or another segment. */
export const segment = (
  ends: Ends,
  from: number,
  to: number,
  flags: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer => ip({ ...ends, protocol: PROTOCOL.tcp, payload: tcp(ends, from, to, flags, payload) })

function sumOf({ src, dst }: Ends, protocol: number, message: Buffer): number {
  const ends = join(addressBytes(src), addressBytes(dst))
  const rest = dst.includes(':') ? u32(message.length, protocol) : u16(protocol, message.length)
  return checksum(join(ends, rest, message))
}
