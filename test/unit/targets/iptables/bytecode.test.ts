import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { QUOTES_OWN, RESERVED_FRAME } from '../../../../src/targets/iptables/bytecode.ts'

const LL = 2 ** 32 - 0x20_0000

/** What the kernel's filter language does with a packet: `frame` is its Ethernet header, `packet` what follows. */
function matches(program: string, packet: Buffer, frame: Buffer = Buffer.alloc(14)): boolean {
  const [count, ...lines] = program.split(',')
  const code = lines.map((line) => line.split(' ').map(Number))
  expect(code).toHaveLength(Number(count))
  let [a, x] = [0, 0]
  for (let at = 0; ; at += 1) {
    const [op = 0, yes = 0, no = 0, k = 0] = code[at] ?? []
    const load = (offset: number, bytes: number): boolean => {
      const [from, start] = offset >= LL ? [frame, offset - LL] : [packet, offset]
      if (start + bytes > from.length) return false
      a = from.readUIntBE(start, bytes)
      return true
    }
    if (op === 0x06) return k !== 0
    if (op === 0x20 && !load(k, 4)) return false
    else if (op === 0x28 && !load(k, 2)) return false
    else if (op === 0x30 && !load(k, 1)) return false
    else if (op === 0x40 && !load(x + k, 4)) return false
    else if (op === 0xb1) x = ((packet[k] ?? 0) & 0xf) * 4
    else if (op === 0x07) x = a
    else if (op === 0x15) at += a === k ? yes : no
    else if (op === 0x1d) at += a === x ? yes : no
    else if (op === 0x45) at += (a & k) !== 0 ? yes : no
    else if (![0x20, 0x28, 0x30, 0x40].includes(op)) throw new Error(`instruction ${op}`)
  }
}

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const words = fc.integer({ min: 5, max: 15 })

describe('an ICMP error', () => {
  const four = (sender: Uint8Array, quotedTo: Uint8Array, headerWords: number): Buffer => {
    const header = Buffer.alloc(headerWords * 4)
    header[0] = 0x40 | headerWords
    header.set(sender, 12)
    const quoted = Buffer.alloc(28)
    quoted.set(quotedTo, 16)
    return Buffer.concat([header, Buffer.alloc(8), quoted])
  }
  const six = (sender: Uint8Array, quotedTo: Uint8Array, next = 58): Buffer => {
    const header = Buffer.alloc(40)
    header[6] = next
    header.set(sender, 8)
    const quoted = Buffer.alloc(48)
    quoted.set(quotedTo, 24)
    return Buffer.concat([header, Buffer.alloc(8), quoted])
  }

  test('is known for one from who received what it quotes, with IPv4 options too', () =>
    fc.assert(
      fc.property(bytes(4), bytes(4), words, (sender, other, headerWords) => {
        expect(matches(QUOTES_OWN[4], four(sender, sender, headerWords))).toBe(true)
        const isSame = Buffer.from(sender).equals(Buffer.from(other))
        expect(matches(QUOTES_OWN[4], four(sender, other, headerWords))).toBe(isSame)
      }),
    ))

  test('in IPv6 any byte of the address counts, and nothing may stand between', () =>
    fc.assert(
      fc.property(bytes(16), fc.nat({ max: 15 }), fc.integer({ min: 1, max: 255 }), (sender, at, by) => {
        expect(matches(QUOTES_OWN[6], six(sender, sender))).toBe(true)
        const other = Uint8Array.from(sender, (byte, index) => (index === at ? byte ^ by : byte))
        expect(matches(QUOTES_OWN[6], six(sender, other))).toBe(false)
        expect(matches(QUOTES_OWN[6], six(sender, sender, 0))).toBe(false)
      }),
    ))

  test('that is cut off is not known', () =>
    fc.assert(
      fc.property(bytes(4), fc.nat({ max: 47 }), (sender, length) => {
        expect(matches(QUOTES_OWN[4], four(sender, sender, 5).subarray(0, length))).toBe(false)
      }),
    ))
})

test.each([
  ['01:80:c2:00:00:00', true],
  ['01:80:c2:00:00:0e', true],
  ['01:80:c2:00:00:0f', true],
  ['01:80:c2:00:00:10', false],
  ['01:80:c2:00:01:0e', false],
  ['01:80:c3:00:00:0e', false],
  ['01:00:5e:00:00:0e', false],
  ['ff:ff:ff:ff:ff:ff', false],
])('a frame to %s is one that no bridge forwards: %s', (mac, expected) => {
  const frame = Buffer.from(`${mac.replaceAll(':', '')}fefffffffffe0800`, 'hex')
  expect(matches(RESERVED_FRAME, Buffer.alloc(20), frame)).toBe(expected)
})
