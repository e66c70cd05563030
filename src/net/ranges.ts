import { bytesOf } from './address.ts'
import { cidrTest } from './cidr.ts'
import { METADATA } from './metadata.ts'
import type { Address, Cidr } from './types.ts'
import { ISATAP } from './wrapped.ts'

/**
 * public: an ordinary answer; private: RFC 1918 or ULA, for entries that ask for it; refused: no name may ever lead there. This is a
 * deny list: documentation networks and other odd unicast space are ordinary.
 */
export type RangeClass = 'public' | 'private' | 'refused'

const cidrs = (...texts: string[]): readonly Cidr[] => texts.map((text) => text as Cidr)

export const LOOPBACK: { readonly 4: readonly Cidr[]; readonly 6: readonly Cidr[] } = {
  4: cidrs('127.0.0.0/8'),
  6: cidrs('::1'),
}
const REFUSED = [
  ...METADATA[4],
  ...LOOPBACK[4],
  ...cidrs('0.0.0.0/8', '100.64.0.0/10', '224.0.0.0/4', '240.0.0.0/4'), // the last holds broadcast
  ...METADATA[6],
  ...LOOPBACK[6],
  ...cidrs('::', '::ffff:0:0/96', 'ff00::/8'),
]
const PRIVATE = cidrs('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7')

const anyOf = (networks: readonly Cidr[]): ((bytes: readonly number[]) => boolean) => {
  const tests = networks.map(cidrTest)
  return (bytes) => tests.some((test) => test(bytes))
}
const isRefused = anyOf(REFUSED)
const isPrivate = anyOf(PRIVATE)
const isNat64 = anyOf(cidrs('64:ff9b::/96'))
const isCompatible = anyOf(cidrs('::/96'))
const isIsatap = cidrTest(ISATAP)
const isLocalNat64 = anyOf(cidrs('64:ff9b:1::/48'))
const isSixToFour = anyOf(cidrs('2002::/16'))
const isTeredo = anyOf(cidrs('2001::/32'))

/** What an answer is worth. Answers that wrap IPv4 (NAT64, 6to4, Teredo, ISATAP, IPv4-compatible) are public only if what they wrap is. */
export const classify = (address: Address): RangeClass => classifyBytes(bytesOf(address))

function classifyBytes(bytes: readonly number[]): RangeClass {
  if (isRefused(bytes)) return 'refused'
  if (isPrivate(bytes)) return 'private'
  return bytes.length === 16 && wrapsNonPublic(bytes) ? 'refused' : 'public'
}

function wrapsNonPublic(bytes: readonly number[]): boolean {
  const pick = (...indexes: number[]): number[] => indexes.map((index) => bytes[index] ?? 0)
  if (isNat64(bytes) || isCompatible(bytes) || isIsatap(bytes)) return !isPublic(pick(12, 13, 14, 15))
  if (isSixToFour(bytes)) return !isPublic(pick(2, 3, 4, 5))
  // Server and client: a relay sends to both. The client is stored inverted.
  if (isTeredo(bytes))
    return !isPublic(pick(4, 5, 6, 7)) || !isPublic(pick(12, 13, 14, 15).map((byte) => byte ^ 0xff))
  return isLocalNat64(bytes) && localNat64WrapsNonPublic(pick)
}

/**
 * Within 64:ff9b:1::/48 the site chooses how long its prefix is (RFC 6052 section 2.2: 48, 56, 64 or 96 bits), so each reading counts,
 * but for those that read as 0.0.0.0/8, which is what the filling of a longer prefix looks like.
 */
function localNat64WrapsNonPublic(pick: (...indexes: number[]) => number[]): boolean {
  const readings = [pick(6, 7, 9, 10), pick(7, 9, 10, 11), pick(9, 10, 11, 12), pick(12, 13, 14, 15)]
  const meant = readings.filter((reading) => reading[0] !== 0)
  return meant.length === 0 || !meant.every(isPublic)
}

const isPublic = (v4: readonly number[]): boolean => classifyBytes(v4) === 'public'
