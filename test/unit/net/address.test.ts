import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../../src/net/address.ts'

describe('addresses', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['64:ff9b::198.51.100.7', '64:ff9b::c633:6407'],
  ])('%s is %s', (text, canonical) => {
    expect(parseAddress(text)).toBe(canonical)
  })

  it.each([
    ['127.1'],
    ['0x7f.1'],
    ['010.0.0.1'],
    ['256.1.1.1'],
    ['2130706433'],
    ['fe80::1%eth0'],
    ['::ffff:10.0.0.1'],
    ['::ffff:a00:1'],
    ['1.2.3.4 '],
    [''],
    ['1.2.3.4/32'],
    ['[::1]'],
    ['example.com'],
  ])('%s is none', (text) => {
    expect(parseAddress(text)).toBeUndefined()
  })

  it('reads back what it wrote, whatever form the address was given in', () => {
    const v6 = fc.ipV6().filter((text) => !/^(0*:)*:?ffff:/i.test(text))
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), v6), (text) => {
        const address = parseAddress(text)
        fc.pre(address !== undefined)
        expect(parseAddress(address)).toBe(address)
        expect(new URL(`http://${address.includes(':') ? `[${address}]` : address}/`).hostname).toBe(
          address.includes(':') ? `[${address}]` : address,
        )
      }),
    )
  })
})
