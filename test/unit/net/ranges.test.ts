import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../../src/net/address.ts'
import { classify, type RangeClass } from '../../../src/net/ranges.ts'

const classOf = (text: string): RangeClass => {
  const address = parseAddress(text)
  if (address === undefined) throw new Error(`no address: ${text}`)
  return classify(address)
}
const hex = (v4: string): [string, string] => {
  const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number)
  return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)]
}

describe('what an answer is worth', () => {
  it.each<[RangeClass, string[]]>([
    [
      'public',
      [
        '8.8.8.8',
        '198.51.100.1',
        '203.0.113.9',
        '192.0.2.1',
        '192.0.0.1',
        '198.18.0.1',
        '100.63.255.255',
        '100.128.0.0',
      ],
    ],
    [
      'public',
      [
        '11.0.0.0',
        '172.15.255.255',
        '172.32.0.0',
        '223.255.255.255',
        '168.63.129.15',
        '2001:db8::1',
        '2606:4700::1111',
      ],
    ],
    [
      'private',
      [
        '10.0.0.0',
        '10.255.255.255',
        '172.16.0.1',
        '172.31.255.255',
        '192.168.1.1',
        'fc00::1',
        'fd12:3456::1',
      ],
    ],
    [
      'refused',
      [
        '0.0.0.0',
        '0.1.2.3',
        '127.0.0.1',
        '127.255.255.255',
        '100.64.0.1',
        '224.0.0.1',
        '240.0.0.1',
        '255.255.255.255',
      ],
    ],
    ['refused', ['169.254.169.254', '169.254.42.42', '168.63.129.16', '100.100.100.200', '192.0.0.192']],
    ['refused', ['::a9fe:a9fe', '::7f00:1', '2001:db8::5efe:a00:1']],
    ['public', ['2001:db8::5efe:808:808']],
    ['refused', ['::', '::1', 'fe80::1', 'febf::1', 'fe80::a9fe:a9fe', 'ff02::1']],
    [
      'refused',
      [
        'fd00:ec2::254',
        'fd00:ec2::23',
        'fd20:ce::254',
        'fd00:c1::a9fe:a9fe',
        'fd00:42::42',
        'fd00:a9fe:a9fe::1',
      ],
    ],
    ['public', ['64:ff9b::8.8.8.8', '64:ff9b:1::8.8.8.8', '64:ff9b:1:808:8:800::', '2002:808:808::1']],
    [
      'refused',
      ['64:ff9b::10.0.0.1', '64:ff9b::169.254.169.254', '64:ff9b:1::127.0.0.1', '64:ff9b:1:a9fe:a9:fe00::'],
    ],
    ['refused', ['2002:a9fe:a9fe::1', '2002:c0a8:101::1', '2002:7f00:1::', '64:ff9b::', '64:ff9b:1::']],
    ['public', ['2001:0:4136:e378:8000:63bf:f7f7:f7f7']],
    ['refused', ['2001:0:4136:e378:8000:63bf:5601:5601', '2001:0:a9fe:a9fe:8000:63bf:f7f7:f7f7']],
  ])('%s: %j', (expected, addresses) => {
    expect(addresses.map((address) => [address, classOf(address)])).toEqual(
      addresses.map((address) => [address, expected]),
    )
  })

  it('makes nothing public by wrapping it, and refuses no wrapped public address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (v4) => {
        const [high, low] = hex(v4)
        const expected = classOf(v4) === 'public' ? 'public' : 'refused'
        expect(classOf(`64:ff9b::${high}:${low}`)).toBe(expected)
        expect(classOf(`64:ff9b:1::${high}:${low}`)).toBe(expected)
        expect(classOf(`2002:${high}:${low}::1`)).toBe(expected)
      }),
    )
  })
})
