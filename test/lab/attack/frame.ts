import { join, macBytes, u16, u8 } from './bytes.ts'

export const ETHERTYPE = {
  ipv4: 0x0800,
  arp: 0x0806,
  ipv6: 0x86dd,
  vlan: 0x8100,
  providerVlan: 0x88a8,
  mpls: 0x8847,
  pppoe: 0x8864,
  eapol: 0x888e,
} as const

export interface Ethernet {
  readonly src: string
  readonly dst: string
}

/** One VLAN tag; id 0 is a tag that bears a priority alone. */
export interface Tag {
  readonly type?: number
  readonly id: number
  readonly priority?: number
}

export const ethertypeOf = (packet: Buffer): number =>
  (packet[0] ?? 0) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4

/** An IP packet in a frame, within any number of tags. */
export function frame(
  { src, dst }: Ethernet,
  packet: Buffer,
  tags: readonly Tag[] = [],
  type = ethertypeOf(packet),
): Buffer {
  const tagged = tags.map(({ type: outer = ETHERTYPE.vlan, id, priority = 0 }) =>
    u16(outer, (priority << 13) | id),
  )
  return join(macBytes(dst), macBytes(src), ...tagged, u16(type), packet)
}

/** An IP packet as IEEE 802.3 carries it: a length, LLC and SNAP in place of the type. */
export const snapFrame = ({ src, dst }: Ethernet, packet: Buffer): Buffer => {
  const inner = join(u8(0xaa, 0xaa, 3, 0, 0, 0), u16(ethertypeOf(packet)), packet)
  return join(macBytes(dst), macBytes(src), u16(inner.length), inner)
}

/** In a session of PPP over Ethernet, as bridges with `nf-call-pppoe` unpack it. */
export const pppoeFrame = (ethernet: Ethernet, packet: Buffer): Buffer =>
  frame(
    ethernet,
    join(
      u8(0x11, 0),
      u16(1, packet.length + 2, ethertypeOf(packet) === ETHERTYPE.ipv6 ? 0x57 : 0x21),
      packet,
    ),
    [],
    ETHERTYPE.pppoe,
  )

export const mplsFrame = (ethernet: Ethernet, packet: Buffer): Buffer =>
  frame(ethernet, join(u8(0, 1, 0x11, 64), packet), [], ETHERTYPE.mpls)

/** The sixteen addresses that IEEE 802.1D reserves: a bridge hands their frames to the port they came by. */
export const RESERVED_MACS: readonly string[] = Array.from(
  { length: 16 },
  (_, last) => `01:80:c2:00:00:0${last.toString(16)}`,
)
