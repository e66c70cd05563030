import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, parseAddress } from '../../../src/net/address.ts'
import { cidrTest } from '../../../src/net/cidr.ts'
import { wrappedMetadata } from '../../../src/net/metadata.ts'
import type { Address, Cidr } from '../../../src/net/types.ts'
import { ANY_WRAPPED, wrappedForms } from '../../../src/net/wrapped.ts'

const hex = (bytes: readonly number[]): string =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')
const groups = (text: string): Address => {
  const address = parseAddress(text.match(/.{4}/g)?.join(':') ?? '')
  if (!address) throw new Error(`no address of the test: ${text}`)
  return address
}

/** As each is written in its RFC, over 32 hexadecimal digits. */
const WAYS: readonly (readonly [string, (v4: readonly number[], filling: string) => string])[] = [
  ['NAT64', (v4) => `0064ff9b${'0'.repeat(16)}${hex(v4)}`],
  ['local NAT64 of 96 bits', (v4, filling) => `0064ff9b0001${filling.slice(0, 12)}${hex(v4)}`],
  ['local NAT64 of 64 bits', (v4) => `0064ff9b0001beef00${hex(v4)}${'0'.repeat(6)}`],
  [
    'local NAT64 of 56 bits',
    (v4) => `0064ff9b0001be${hex(v4).slice(0, 2)}00${hex(v4).slice(2)}${'0'.repeat(8)}`,
  ],
  [
    'local NAT64 of 48 bits',
    (v4) => `0064ff9b0001${hex(v4).slice(0, 4)}00${hex(v4).slice(4)}${'0'.repeat(10)}`,
  ],
  ['6to4', (v4, filling) => `2002${hex(v4)}${filling.slice(0, 20)}`],
  ['a Teredo server', (v4, filling) => `20010000${hex(v4)}${filling.slice(0, 16)}`],
  [
    'a Teredo client',
    (v4, filling) => `20010000${filling.slice(0, 16)}${hex(v4.map((byte) => byte ^ 0xff))}`,
  ],
  ['IPv4-compatible', (v4) => `${'0'.repeat(24)}${hex(v4)}`],
  ['ISATAP', (v4, filling) => `20010db8${filling.slice(0, 8)}00005efe${hex(v4)}`],
  ['ISATAP of a public address', (v4, filling) => `fd000000${filling.slice(0, 8)}02005efe${hex(v4)}`],
]
const filling = fc.stringMatching(/^[0-9a-f]{20}$/)
const v4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
const holds = (forms: readonly Parameters<typeof cidrTest>[0][], address: Address): boolean =>
  forms.some((form) => cidrTest(form)(bytesOf(address)))

test.each(WAYS)('an IPv4 network is found within %s', (_, wrap) => {
  fc.assert(
    fc.property(v4, fc.integer({ min: 8, max: 32 }), filling, (bytes, length, rest) => {
      const network =
        `${bytes.map((byte, at) => byte & ((0xff00 >> Math.min(8, Math.max(0, length - 8 * at))) & 0xff)).join('.')}/${length}` as Cidr
      const address = groups(wrap(bytes, rest))
      expect(holds(wrappedForms(network), address)).toBe(true)
      expect(holds(ANY_WRAPPED, address)).toBe(true)
    }),
  )
})

test.each([
  '2001:db8::a9fe:a9fe',
  '2606:4700::1111',
  '64:ff9b::cb00:710a',
  '2002:cb00:710a::1',
  '2a00:a9fe:a9fe::1',
])('%s wraps no metadata', (text) =>
  expect(holds(wrappedMetadata({ block: true, extra: [] }), text as Address)).toBe(false),
)

test('what else counts as metadata is found, too, and nothing where nothing is blocked', () => {
  const extra = ['192.0.2.80' as Cidr, '2001:db8::80' as Cidr]
  expect(holds(wrappedMetadata({ block: true, extra }), '64:ff9b::c000:250' as Address)).toBe(true)
  expect(wrappedMetadata({ block: false, extra })).toEqual([])
})
