import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cidrContains, cidrOverlaps, parseCidr, prefixOf, splitForIpset } from '../../../src/net/cidr.ts'
import type { Cidr } from '../../../src/net/types.ts'

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text)
  if ('reason' in parsed) throw new Error(parsed.reason)
  return parsed.cidr
}

/** A network as a range of whole numbers: an oracle that shares nothing with the code. */
interface Range {
  readonly text: string
  readonly width: 32 | 128
  readonly first: bigint
  readonly last: bigint
}

const networks = fc
  .record({
    width: fc.constantFrom(32 as const, 128 as const),
    bits: fc.bigInt(0n, 2n ** 128n - 1n),
    prefix: fc.nat(128),
    low: fc.boolean(),
  })
  .map(({ width, bits, prefix, low }): Range => {
    const length = BigInt(Math.min(prefix, width))
    const size = 2n ** (BigInt(width) - length)
    const top = 2n ** BigInt(width)
    const value = low ? bits % 2n ** 6n : bits % top
    const first = value - (value % size)
    return { text: `${written(first, width)}/${length}`, width, first, last: first + size - 1n }
  })
  .filter(({ width, first }) => width === 32 || first >> 32n !== 0xffffn)

function written(value: bigint, width: 32 | 128): string {
  const part = width === 32 ? 8n : 16n
  const parts = Array.from({ length: width === 32 ? 4 : 8 }, (_, i, all = width === 32 ? 4 : 8) => {
    const shift = part * BigInt(all - 1 - i)
    return ((value >> shift) % 2n ** part).toString(width === 32 ? 10 : 16)
  })
  return parts.join(width === 32 ? '.' : ':')
}

describe('networks', () => {
  it.each([
    ['198.51.100.0/24', '198.51.100.0/24'],
    ['198.51.100.7', '198.51.100.7'],
    ['198.51.100.7/32', '198.51.100.7'],
    ['2001:DB8::/32', '2001:db8::/32'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::/0', '::/0'],
  ])('%s is %s', (text, canonical) => {
    expect(parseCidr(text)).toEqual({ cidr: canonical })
  })

  it.each([
    ['10.1.2.3/8', 'the network is 10.0.0.0/8, the one address is 10.1.2.3'],
    ['2001:db8::1/64', 'the network is 2001:db8::/64, the one address is 2001:db8::1'],
    ['10.0.0.0/33', 'a whole number from 0 to 32'],
    ['10.0.0.0/08', 'a whole number from 0 to 32'],
    ['10.0.0.0/', 'a whole number from 0 to 32'],
    ['2001:db8::/129', 'a whole number from 0 to 128'],
    ['10.0.0.0/255.0.0.0', 'a whole number from 0 to 32'],
    ['::ffff:10.0.0.0/104', 'write the IPv4 network'],
    ['fe80::1%eth0/64', 'is not an address or a network'],
    ['010.0.0.0/8', 'is not an address or a network'],
    ['10/8', 'is not an address or a network'],
  ])('%s is refused: %s', (text, reason) => {
    const parsed = parseCidr(text)
    expect('reason' in parsed && parsed.reason).toContain(reason)
  })

  it('reads back what it wrote', () => {
    fc.assert(
      fc.property(networks, ({ text }) => {
        const once = cidr(text)
        expect(cidr(once)).toBe(once)
        expect(prefixOf(once)).toBe(Number(text.split('/')[1]))
      }),
    )
  })

  it('holds and overlaps as ranges of numbers do', () => {
    fc.assert(
      fc.property(networks, networks, (a, b) => {
        const same = a.width === b.width
        expect(cidrContains(cidr(a.text), cidr(b.text))).toBe(same && a.first <= b.first && b.last <= a.last)
        expect(cidrOverlaps(cidr(a.text), cidr(b.text))).toBe(same && a.first <= b.last && b.first <= a.last)
      }),
      { numRuns: 1000 },
    )
  })

  it('is two halves for an ipset when it is everything, and itself otherwise', () => {
    expect(splitForIpset(cidr('0.0.0.0/0'))).toEqual(['0.0.0.0/1', '128.0.0.0/1'])
    expect(splitForIpset(cidr('::/0'))).toEqual(['::/1', '8000::/1'])
    expect(splitForIpset(cidr('10.0.0.0/8'))).toEqual(['10.0.0.0/8'])
  })
})
