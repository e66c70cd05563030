import { encode, type Answer as Record } from 'dns-packet'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hostname } from '../../../src/net/types.ts'
import { wireName } from '../../../src/dns/name.ts'
import { lookupOf } from '../../../src/resolve/answer.ts'

const name = 'api.example.com' as Hostname
const question = { name: wireName(name), type: 1 }
const message = (answers: Record[]): Buffer =>
  encode({ type: 'response', id: 7, flags: 0x180, questions: [{ type: 'A', name }], answers })

describe('reading', () => {
  test('never throws and never loops, whatever is broken in a good answer', () => {
    const whole = message([
      { type: 'CNAME', name, data: 'b.example.net', ttl: 5 },
      { type: 'A', name: 'b.example.net', data: '198.51.100.7', ttl: 5 },
    ])
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(damage, fc.integer({ min: 12, max: whole.length }), (changes, length) => {
        const broken = Buffer.from(whole)
        for (const [at, byte] of changes) broken[at] = byte
        expect(lookupOf(broken.subarray(0, length), question).kind).toBeTypeOf('string')
        expect(lookupOf(broken, question).kind).toBeTypeOf('string')
      }),
      { numRuns: 2000 },
    )
  })

  test('never throws on any bytes after a good head', () => {
    const head = message([]).subarray()
    head.writeUInt16BE(3, 6)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (tail) => {
        expect(lookupOf(Buffer.concat([head, tail]), question).kind).toMatch(/^(addresses|empty|malformed)$/)
      }),
      { numRuns: 2000 },
    )
  })

  test('understands compressed names, as servers send them', () => {
    const head = message([])
    head.writeUInt16BE(2, 6)
    const alias = Buffer.from('c00c000500010000000500040162c010', 'hex') // api.example.com → b.example.com
    const address = Buffer.from(`c0${(head.length + 12).toString(16)}00010001000000090004c6336407`, 'hex')
    expect(lookupOf(Buffer.concat([head, alias, address]), question)).toEqual({
      kind: 'addresses',
      records: [{ address: '198.51.100.7', ttlMs: 5_000 }],
    })
  })

  test('follows no long chain of pointers, of which an answer by TCP can hold thousands', () => {
    const head = message([])
    const chainAt = head.length + 12
    const chain = Buffer.alloc(16_000)
    for (let at = 0; at < chain.length; at += 2)
      chain.writeUInt16BE(0xc000 | (at === 0 ? 12 : chainAt + at - 2), at)
    const record = (owner: number, data: Buffer): Buffer => {
      const fields = Buffer.alloc(12)
      fields.writeUInt16BE(0xc000 | owner, 0)
      fields.writeUInt16BE(16, 2)
      fields.writeUInt16BE(1, 4)
      fields.writeUInt16BE(data.length, 10)
      return Buffer.concat([fields, data])
    }
    const owners = Array.from({ length: 4_000 }, (_, index) => chainAt + chain.length - 2 - 2 * index)
    const records = [record(12, chain), ...owners.map((owner) => record(owner, Buffer.alloc(0)))]
    head.writeUInt16BE(records.length, 6)
    expect(lookupOf(Buffer.concat([head, ...records]), question)).toMatchObject({
      kind: 'malformed',
      detail: 'a name of more pointers than labels',
    })
    // A short one is a name like any other.
    const short = [records[0], record(chainAt + 200, Buffer.alloc(0))].map((one) => one ?? head)
    head.writeUInt16BE(short.length, 6)
    expect(lookupOf(Buffer.concat([head, ...short]), question)).toMatchObject({
      kind: 'empty',
    })
  })

  test('refuses pointers that lead forwards or in circles', () => {
    const head = message([])
    head.writeUInt16BE(1, 6)
    const self = Buffer.from(`c0${head.length.toString(16)}00010001000000090004c6336407`, 'hex')
    expect(lookupOf(Buffer.concat([head, self]), question)).toMatchObject({
      kind: 'malformed',
    })
  })
})
