import * as z from 'zod'
import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import { parseDuration } from './duration.ts'
import { parsed } from './parsed.ts'
import { parseNameServer, parseNetworkName, parseRate } from './values.ts'

/** A duration within bounds, in milliseconds. */
export const duration = (least: string, most: string) =>
  parsed(
    (text) => durationWithin(text, least, most),
    (found) => found.ms,
    'a duration like 30s or 1h30m',
  )

export const wholeNumber = (least: number, most: number) =>
  z.int('must be a whole number').min(least, `must be at least ${least}`).max(most, `must be at most ${most}`)

export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `must be ${values.join(' or ')}` })

export const address = parsed(readAddress, (found) => found.address)

export const networkName = parsed(parseNetworkName, (found) => found.name)

export const nameServer = parsed(parseNameServer, (found) => found.server)

export const rate = (example: string) => parsed(parseRate, (found) => found.rate, `a rate like ${example}`)

/** Milliseconds count only where the least is less than a second. */
export function durationWithin(
  text: string,
  least: string,
  most: string,
): { readonly ms: number } | { readonly reason: string } {
  const found = parseDuration(text)
  if ('reason' in found) return found
  const limits = [least, most].map(parseDuration).map((limit) => ('ms' in limit ? limit.ms : Number.NaN))
  const [leastMs = 0, mostMs = 0] = limits
  if (found.ms < leastMs || found.ms > mostMs)
    return { reason: `${text} is out of bounds: from ${least} to ${most}` }
  if (leastMs % 1000 === 0 && found.ms % 1000 !== 0) return { reason: `${text} is not in whole seconds` }
  return found
}

function readAddress(text: string): { readonly address: Address } | { readonly reason: string } {
  const found = parseAddress(text)
  return found === undefined ? { reason: `"${text}" is no IPv4 or IPv6 address` } : { address: found }
}
