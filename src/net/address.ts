import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Address } from './types.ts'

/**
 * The one parser of addresses: `undefined` for anything that is not exactly one IPv4 or IPv6 address. Octal, hexadecimal and short
 * forms (`010.0.0.1`, `127.1`), zone ids (`fe80::1%eth0`) and v4-mapped addresses are none: each names a thing other than it seems to.
 */
export function parseAddress(text: string): Address | undefined {
  // There is one way to write an IPv4 address, and isIP takes no other.
  if (isIP(text) === 4) return text as Address
  const bytes = parseBytes(text)
  return bytes === undefined || isMapped(bytes) ? undefined : formatAddress(bytes)
}

/** The 4 or 16 bytes of an address or of a v4-mapped one; `undefined` for any other text. */
export function parseBytes(text: string): number[] | undefined {
  const version = isIP(text)
  if (version === 4) return bytesOfV4(text)
  if (version === 0 || text.includes('%')) return undefined
  return ipaddr.parse(text).toByteArray()
}

/** The bytes of an address in network order: 4 or 16. */
export const bytesOf = (address: Address): number[] =>
  address.includes(':') ? ipaddr.parse(address).toByteArray() : bytesOfV4(address)

/** Of an address that is known to be one; a saved state has 100,000 of them. */
function bytesOfV4(text: string): number[] {
  const bytes = [0, 0, 0, 0]
  let place = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === DOT) place++
    else bytes[place] = (bytes[place] ?? 0) * 10 + code - ZERO
  }
  return bytes
}

const [DOT, ZERO] = [0x2e, 0x30]

/** Dotted quad, or RFC 5952: lower case, the first longest run of two or more zero groups as `::`. */
export function formatAddress(bytes: ArrayLike<number>): Address {
  const text =
    bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : formatV6(Array.from(bytes))
  return text as Address
}

/** `::ffff:0:0/96`: an IPv4 address in IPv6 clothes, which no packet on the wire bears. */
export const isMapped = (bytes: ArrayLike<number>): boolean =>
  bytes.length === 16 &&
  Array.from({ length: 10 }, (_, at) => bytes[at]).every((byte) => byte === 0) &&
  bytes[10] === 255 &&
  bytes[11] === 255

function formatV6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0))
  const { start, length } = longestZeroRun(groups)
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':')
  if (length < 2) return hex(groups)
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let run = 0
  groups.forEach((group, i) => {
    run = group === 0 ? run + 1 : 0
    if (run > best.length) best = { start: i - run + 1, length: run }
  })
  return best
}
