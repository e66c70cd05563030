import { expect, test } from 'vitest'
import { encodeSocketAddress, readSocketAddress } from '../../../../src/system/datagrams/socket-address.ts'

test.each([
  ['udp4', '192.0.2.7', '0200 1f90 c0000207 0000000000000000'],
  ['udp6', '2001:db8::7', '0a00 1f90 00000000 20010db8000000000000000000000007 00000000'],
  // Of a socket that takes both families.
  ['udp6', '::ffff:192.0.2.7', '0a00 1f90 00000000 00000000000000000000ffffc0000207 00000000'],
] as const)('an address of %s, %s, is that of the kernel', (type, address, layout) => {
  const encoded = encodeSocketAddress(type, address, 8080)
  expect(encoded.toString('hex')).toBe(layout.replaceAll(' ', ''))
  expect(readSocketAddress(encoded)).toEqual({ address, port: 8080 })
})

test.each([
  ['udp4', '2001:db8::7'],
  ['udp6', '192.0.2.7'],
  ['udp4', 'example.com'],
  ['udp6', 'fe80::1%eth0'],
] as const)('for %s %s is none', (type, address) =>
  expect(() => encodeSocketAddress(type, address, 1)).toThrow(address),
)

test('a link-local address comes with its interface', () => {
  const encoded = encodeSocketAddress('udp6', 'fe80::7', 53)
  encoded.writeUInt32LE(3, 24)
  expect(readSocketAddress(encoded)).toEqual({ address: 'fe80::7%3', port: 53 })
})

test('what is of no family that is known is none', () =>
  expect(readSocketAddress(Buffer.alloc(8))).toBeUndefined())
