import { expect, test } from 'vitest'
import { createHoldTable } from '../../../../src/targets/start-hold/hold-table.ts'
import { readPackets, verdictMessage } from '../../../../src/targets/start-hold/queue-message.ts'
import { attribute, bigEndian, netfilterMessage } from '../../../../src/system/netlink-message.ts'

const IPV4 = Buffer.concat([
  Buffer.from([0x45]),
  Buffer.alloc(11),
  Buffer.from([172, 18, 0, 2, 203, 0, 113, 9]),
])
const IPV6 = Buffer.concat([
  Buffer.from([0x60]),
  Buffer.alloc(7),
  Buffer.from('fd000018000000000000000000000002', 'hex'),
  Buffer.alloc(16),
])
const HARDWARE = Buffer.from([0, 6, 0, 0, 2, 0x42, 0xac, 0x12, 0, 2, 0, 0])

const told = (id: number, payload: Buffer, hardware = HARDWARE): Buffer =>
  netfilterMessage(
    { type: 0x300, sequence: 0, family: 2, resource: 25_967 },
    attribute(1, bigEndian(id), Buffer.from([8, 0, 0])),
    attribute(3, bigEndian(0x80004000)),
    attribute(9, hardware),
    attribute(10, payload),
  )

test('packets are read with who sent them', () => {
  const common = { mark: 0x80004000, mac: '02:42:ac:12:00:02' }
  expect(readPackets(Buffer.concat([told(1, IPV4), told(2, IPV6)]))).toEqual([
    { id: 1, ...common, source: '172.18.0.2' },
    { id: 2, ...common, source: 'fd00:18::2' },
  ])
})

test('what says less is read as far as it goes', () => {
  expect(readPackets(told(3, IPV4.subarray(0, 10), HARDWARE.subarray(0, 6)))).toMatchObject([
    { id: 3, mac: undefined, source: undefined },
  ])
})

test('nothing that is cut anywhere is read beyond its end', () => {
  const whole = told(1, IPV4)
  for (let length = 0; length < whole.length; length += 1)
    expect(() => readPackets(Buffer.from(whole.subarray(0, length)))).not.toThrow()
  const lies = Buffer.from(whole)
  lies.writeUInt16LE(0xffff, 20)
  expect(readPackets(lies)).toEqual([])
})

test('a verdict repeats the rules without a mark, or drops', () => {
  expect(verdictMessage(25_967, 5, 'repeat').toString('hex')).toBe(
    '28000000010301000000000000000000' +
      '0000656f' +
      '0c000200' +
      '00000004' +
      '00000005' +
      '08000300' +
      '00000000',
  )
  expect(verdictMessage(25_967, 5, 'drop').readUInt32BE(24)).toBe(0)
})

test('the table is one batch, in messages of the length that they say', () => {
  const batch = createHoldTable(1)
  const types: number[] = []
  for (let at = 0; at < batch.length; at += batch.readUInt32LE(at)) types.push(batch.readUInt16LE(at + 4))
  expect(types).toEqual([
    0x10,
    0xa00,
    0xa09,
    0xa09,
    0xa09,
    0xa09,
    0xa03,
    ...Array.from({ length: 10 }, () => 0xa06),
    0x11,
  ])
})
