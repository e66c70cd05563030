import { describe, expect, test } from 'vitest'
import { encodeAdditions, readAcknowledgement } from '../../../../src/targets/ipset/add-message.ts'

const counting = () => {
  let count = 0
  return () => ++count
}
const hex = (...parts: string[]): string => parts.join('').replaceAll(' ', '')
const write = (element: string, comment = '', timeoutSeconds = 60) => ({ element, timeoutSeconds, comment })

/** The layout of linux/netfilter/ipset/ip_set.h, written out by hand. */
describe('the message that adds', () => {
  test('an IPv4 address is that of `ipset -exist add`', () => {
    const [message, ...others] = encodeAdditions(
      [{ set: 'web-4', writes: [write('192.0.2.7', 'a.example', 600)] }],
      counting(),
    )
    expect(others).toEqual([])
    expect(message?.sequence).toBe(1)
    expect(message?.bytes.toString('hex')).toBe(
      hex(
        '5c000000 0906 0500 01000000 00000000', // length, ADD of ipset, request and acknowledgement, number
        '02 00 0000', // IPv4
        '0500 0100 06 000000', // protocol 6
        '0a00 0200 7765622d3400 0000', // the set
        '0800 0900 00000000', // line
        '2c00 0880 2800 0780', // several, the first
        '0c00 0180 0800 0140 c0000207',
        '0800 0640 00000258',
        '0e00 1a00 612e6578616d706c6500 0000',
      ),
    )
  })

  test('an IPv6 address says so', () => {
    const [message] = encodeAdditions([{ set: 's', writes: [write('2001:db8::1')] }], counting())
    expect(message?.bytes[16]).toBe(10)
    expect(message?.bytes.toString('hex')).toContain('1400024020010db8000000000000000000000001')
  })

  test('has of several elements each as if it were the only one', () => {
    const writes = [
      write('192.0.2.7', 'a.example'),
      write('198.51.100.200', 'a.example'),
      write('203.0.113.1', 'a.example', 61),
      write('203.0.113.2', 'b.example', 61),
      write('10.0.0.1', 'b.example', 61),
      write('10.0.0.2', 'a.example', 61),
    ]
    const elementsOf = (some: typeof writes): string => {
      const [message] = encodeAdditions([{ set: 's', writes: some }], () => 1)
      // Behind the heads, the protocol, the set and the line.
      return message?.bytes.toString('hex', 16 + 4 + 8 + 8 + 8 + 4) ?? ''
    }
    const alone = writes.map((one) => elementsOf([one]))
    expect(new Set(alone).size).toBe(writes.length)
    expect(elementsOf(writes)).toBe(alone.join(''))
  })

  test('has each set by itself, and no more than fits', () => {
    const many = Array.from({ length: 450 }, (_, index) => write(`10.0.${index >> 8}.${index & 255}`))
    const messages = encodeAdditions(
      [
        { set: 'one', writes: many },
        { set: 'two', writes: [write('192.0.2.1', 'x'.repeat(300))] },
      ],
      counting(),
    )
    expect(messages.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4])
    for (const { bytes } of messages) {
      expect(bytes.readUInt32LE(0)).toBe(bytes.length)
      expect(bytes.length).toBeLessThan(65_536)
    }
    const text = messages[3]?.bytes.toString('latin1') ?? ''
    expect(text).toContain(`${'x'.repeat(200)}\0`)
    expect(text).not.toContain('x'.repeat(201))
  })

  test('never asks for an element that stays for ever', () => {
    const [message] = encodeAdditions([{ set: 's', writes: [write('192.0.2.1', '', 0)] }], counting())
    expect(message?.bytes.toString('hex')).toContain('0800064000000001')
  })
})

describe('an acknowledgement', () => {
  const answer = (sequence: number, error: number, type = 2): Buffer => {
    const bytes = Buffer.alloc(36)
    bytes.writeUInt32LE(36, 0)
    bytes.writeUInt16LE(type, 4)
    bytes.writeUInt32LE(sequence, 8)
    bytes.writeInt32LE(-error, 16)
    return bytes
  }

  test('is good or says what is wrong', () => {
    expect(readAcknowledgement(answer(7, 0), 7)).toBe(0)
    expect(readAcknowledgement(answer(7, 2), 7)).toBe(2)
    expect(readAcknowledgement(answer(7, 4352), 7)).toBe(4352)
  })

  test.each([
    ['another message', answer(6, 0)],
    ['something else', answer(7, 0, 3)],
    ['half a message', answer(7, 0).subarray(0, 18)],
    ['nothing', Buffer.alloc(0)],
  ])('of %s is none', (_, bytes) => expect(readAcknowledgement(bytes, 7)).toBeUndefined())
})
