import { bytesOf, formatAddress, isMapped, parseBytes } from './address.ts'
import type { Address, Cidr, MaskedAddress } from './types.ts'

const PREFIX = /^(0|[1-9][0-9]{0,2})$/

/**
 * The one parser of networks. A bare address is a network of full length. Bits behind the prefix are an error that names the right
 * network: whether `10.1.2.3/8` means the host or the eight bits is for its writer to say.
 */
export function parseCidr(text: string): { readonly cidr: Cidr } | { readonly reason: string } {
  const slash = text.indexOf('/')
  const addressText = slash < 0 ? text : text.slice(0, slash)
  const bytes = parseBytes(addressText)
  if (bytes === undefined) return { reason: `"${text}" is not an address or a network like 198.51.100.0/24` }
  const width = bytes.length * 8
  const prefixText = slash < 0 ? String(width) : text.slice(slash + 1)
  const prefix = Number(prefixText)
  if (!PREFIX.test(prefixText) || prefix > width) {
    return { reason: `"/${prefixText}" is not a prefix length: it is a whole number from 0 to ${width}` }
  }
  if (isMapped(bytes)) return { reason: `"${text}" is IPv4 written as IPv6: write the IPv4 network` }
  const network = masked(bytes, prefix)
  if (network.some((byte, i) => byte !== bytes[i])) {
    const right = formatCidr(network, prefix)
    return {
      reason: `"${text}" has bits behind its prefix: the network is ${right}, the one address is ${formatAddress(bytes)}`,
    }
  }
  return { cidr: formatCidr(network, prefix) }
}

/** Does the network hold all of the other network, or the address? Never across families. */
export function cidrContains(outer: Cidr, inner: Cidr | Address): boolean {
  const a = partsOf(outer)
  const b = partsOf(inner)
  return a.bytes.length === b.bytes.length && a.prefix <= b.prefix && sameLead(a.bytes, b.bytes, a.prefix)
}

/** {@link cidrContains} for one network and many addresses, given as bytes. */
export function cidrTest(network: MaskedAddress): (address: readonly number[]) => boolean {
  const { bytes, mask } = maskOf(network)
  return (address) =>
    address.length === bytes.length &&
    bytes.every((byte, i) => ((byte ^ (address[i] ?? 0)) & (mask[i] ?? 0)) === 0)
}

/** Address and mask, byte by byte; both are the caller's own. */
export function maskOf(network: MaskedAddress): { bytes: number[]; mask: number[] } {
  const [address = '', mask = ''] = network.split('/')
  const bytes = bytesOf(address as Address)
  if (mask.includes(':')) return { bytes, mask: bytesOf(mask as Address) }
  const prefix = mask === '' ? bytes.length * 8 : Number(mask)
  return { bytes, mask: bytes.map((_, i) => maskByte(prefix, i)) }
}

/** Have the two an address in common? Two networks overlap only when one holds the other. */
export const cidrOverlaps = (a: Cidr, b: Cidr): boolean => cidrContains(a, b) || cidrContains(b, a)

/** An ipset of type hash:net takes no /0: the whole family is two halves. */
export function splitForIpset(cidr: Cidr): Cidr[] {
  const { bytes, prefix } = partsOf(cidr)
  if (prefix !== 0) return [cidr]
  const upper = bytes.map((_, i) => (i === 0 ? 128 : 0))
  return [formatCidr(bytes, 1), formatCidr(upper, 1)]
}

/** Bits of the prefix: 32 or 128 for a bare address. */
export const prefixOf = (cidr: Cidr): number => partsOf(cidr).prefix

function partsOf(cidr: Cidr | Address): { bytes: number[]; prefix: number } {
  const [address, prefix] = cidr.split('/')
  const bytes = bytesOf((address ?? '') as Address)
  return { bytes, prefix: prefix === undefined ? bytes.length * 8 : Number(prefix) }
}

function formatCidr(network: readonly number[], prefix: number): Cidr {
  const address = formatAddress(network)
  const text: string = prefix === network.length * 8 ? address : `${address}/${prefix}`
  return text as Cidr
}

const maskByte = (prefix: number, index: number): number =>
  (0xff00 >> Math.min(8, Math.max(0, prefix - 8 * index))) & 0xff

const masked = (bytes: readonly number[], prefix: number): number[] =>
  bytes.map((byte, i) => byte & maskByte(prefix, i))

const sameLead = (a: readonly number[], b: readonly number[], prefix: number): boolean =>
  a.every((byte, i) => ((byte ^ (b[i] ?? 0)) & maskByte(prefix, i)) === 0)
