import { formatAddress } from './address.ts'
import { maskOf } from './cidr.ts'
import type { Cidr, MaskedAddress } from './types.ts'

/** Where an IPv6 address holds the four bytes of an IPv4 address, under which fixed bytes, for a translator or a tunnel on the way. */
interface Wrapping {
  readonly fixed: MaskedAddress
  readonly places: readonly [number, number, number, number]
  /** Teredo stores the client's address with every bit turned over. */
  readonly isInverted?: boolean
}

const wrapping = (fixed: string, ...places: Wrapping['places']): Wrapping => ({
  fixed: fixed as MaskedAddress,
  places,
})

/** Interface identifiers 0:5efe:V4 and 200:5efe:V4 (ISATAP, RFC 5214) under any prefix. */
export const ISATAP = '::5efe:0:0/::fdff:ffff:0:0' as MaskedAddress

/** NAT64 (RFC 6052), 6to4, Teredo's server and client, addresses that are IPv4-compatible or IPv4-mapped, and ISATAP. */
const WRAPPINGS: readonly Wrapping[] = [
  wrapping('64:ff9b::/96', 12, 13, 14, 15),
  // Within the local prefix the site chooses how long its own is, so each reading counts.
  wrapping('64:ff9b:1::/48', 6, 7, 9, 10),
  wrapping('64:ff9b:1::/48', 7, 9, 10, 11),
  wrapping('64:ff9b:1::/48', 9, 10, 11, 12),
  wrapping('64:ff9b:1::/48', 12, 13, 14, 15),
  wrapping('2002::/16', 2, 3, 4, 5),
  wrapping('2001::/32', 4, 5, 6, 7),
  { ...wrapping('2001::/32', 12, 13, 14, 15), isInverted: true },
  wrapping('::/96', 12, 13, 14, 15),
  wrapping('::ffff:0:0/96', 12, 13, 14, 15),
  wrapping(ISATAP, 12, 13, 14, 15),
]

/** What all wrapped addresses have in common: few tests for the many packets that are none. */
export const ANY_WRAPPED = ['::/8', '2001::/32', '2002::/16', ISATAP] as MaskedAddress[]

/** The IPv6 addresses by which somebody on the way may reach an IPv4 network. */
export function wrappedForms(network: Cidr): MaskedAddress[] {
  const inner = maskOf(network)
  return WRAPPINGS.map(({ fixed, places, isInverted }) => {
    const { bytes, mask } = maskOf(fixed)
    places.forEach((place, index) => {
      const innerMask = inner.mask[index] ?? 0
      const innerByte = (inner.bytes[index] ?? 0) ^ (isInverted ? 0xff : 0)
      mask[place] = (mask[place] ?? 0) | innerMask
      bytes[place] = (bytes[place] ?? 0) | (innerByte & innerMask)
    })
    return `${formatAddress(bytes)}/${lengthOf(mask) ?? formatAddress(mask)}` as MaskedAddress
  })
}

/** Undefined for a mask with holes. */
function lengthOf(mask: readonly number[]): number | undefined {
  const bits = mask.map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return /^1*0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : undefined
}
