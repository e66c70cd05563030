import fc from 'fast-check'
import { decode, encode, type Answer } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { encodeBad, encodeReply } from '../../../src/gateway/encode.ts'
import { dotted } from '../../../src/dns/name.ts'
import { isBad, readQuery } from '../../../src/gateway/query.ts'
import { readReply } from '../../../src/gateway/reply.ts'
import { parseAddress } from '../../../src/net/address.ts'
import { MalformedMessage } from '../../../src/dns/message-reader.ts'
import { a, aaaa, cname } from '../../support/dns-server.ts'
import { STRANGER, TestGateway, turns, WEB } from './gateways.ts'
import {
  question,
  reply,
  record,
  replyOf,
  soa,
  TO_QUESTION,
  uint16,
  unknownRecord,
  wire,
} from './messages.ts'

const NAME = 'a.example.com'
const QUERIES = [
  question(),
  question({ name: 'A.Example.com', type: 'AAAA', edns: 1232 }),
  question({ type: 'SRV', dnssecOk: true, checkingDisabled: true }),
  question({ type: 'UNKNOWN_65', edns: 512 }),
]
const hints = Buffer.from([0, 1, 0, 0, 1, 0, 3, 2, 0x68, 0x32, 0, 4, 0, 4, 192, 0, 2, 9])
const REPLIES: readonly (readonly [Buffer, number])[] = [
  [
    reply([cname(NAME, 'b.example.com'), a('b.example.com', '192.0.2.1'), a('b.example.com', '192.0.2.2')]),
    1,
  ],
  [reply([aaaa(NAME, '2001:db8::1')], { type: 'AAAA' }), 28],
  [reply([], { rcode: 3, authorities: [soa('example.com')] }), 1],
  [
    reply(
      [
        {
          type: 'SRV',
          name: NAME,
          ttl: 60,
          data: { port: 1, priority: 1, weight: 1, target: 'b.example.com' },
        },
        {
          type: 'SRV',
          name: NAME,
          ttl: 60,
          data: { port: 2, priority: 1, weight: 1, target: 'c.example.com' },
        },
      ],
      { type: 'SRV' },
    ),
    33,
  ],
  [reply([unknownRecord(NAME, 65, hints)], { type: 'UNKNOWN_65' }), 65],
  [
    replyOf(NAME, 15, {
      answers: [
        record(TO_QUESTION, 15, Buffer.concat([uint16(10), Buffer.from('\x02mx', 'latin1'), uint16(0xc00e)])),
      ],
    }),
    15,
  ],
]

/** Bytes changed, put in and cut out, and pointers written where names may be. */
const damage = fc.array(
  fc.record({
    kind: fc.constantFrom('flip', 'insert', 'cut', 'pointer', 'count'),
    at: fc.nat(400),
    byte: fc.nat(255),
    length: fc.integer({ min: 1, max: 20 }),
  }),
  { minLength: 1, maxLength: 5 },
)
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

function damaged(whole: Buffer, changes: Damage, keep = 0): Buffer {
  let bytes = Buffer.from(whole)
  for (const { kind, at, byte, length } of changes) {
    const place = keep + (at % Math.max(1, bytes.length - keep))
    if (kind === 'flip') bytes[place] = byte
    else if (kind === 'insert')
      bytes = Buffer.concat([bytes.subarray(0, place), Buffer.alloc(length, byte), bytes.subarray(place)])
    else if (kind === 'cut') bytes = Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + length)])
    else if (kind === 'pointer' && place + 2 <= bytes.length) bytes.writeUInt16BE(0xc000 | byte, place)
    else if (kind === 'count' && bytes.length >= 12) bytes.writeUInt16BE(byte % 8, 6 + 2 * (at % 3))
  }
  return bytes
}

describe('whatever is sent as a question', () => {
  const answerOf = (message: Buffer): void => {
    const query = readQuery(message)
    if (!query) return
    if (isBad(query)) return void encodeBad(query)
    expect(query.asked.length).toBe(query.name.length + 4)
    expect(query.asked.toString('latin1', 0, query.name.length).toLowerCase()).toBe(query.name.toLowerCase())
    expect(query.maxBytes).toBeGreaterThanOrEqual(512)
    const name = dotted(query.name)
    expect(query.dotted).toBe(name)
    if (name !== undefined) expect(wire(name)).toBe(query.name)
  }

  test('it is read without a throw', () => {
    fc.assert(
      fc.property(fc.constantFrom(...QUERIES), damage, (whole, changes) => answerOf(damaged(whole, changes))),
      { numRuns: 8000 },
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => answerOf(Buffer.from(bytes))),
      { numRuns: 4000 },
    )
  })

  test('it is answered once at most, with its own id, and nobody else is', () => {
    const world = new TestGateway()
    world.upstream = () => REPLIES[0]?.[0] ?? Buffer.alloc(0)
    fc.assert(
      fc.property(fc.constantFrom(...QUERIES), damage, fc.boolean(), (whole, changes, isUdp) => {
        const message = damaged(whole, changes)
        const { messages } = world.send(WEB, message, isUdp)
        expect(messages.length).toBeLessThanOrEqual(1)
        const [answered] = messages
        if (answered) {
          expect(answered.readUInt16BE(0)).toBe(message.readUInt16BE(0))
          expect(answered.readUInt16BE(2) & 0x8000).toBe(0x8000)
          if (isUdp) expect(answered.length).toBeLessThanOrEqual(1232)
          decode(answered)
        }
        expect(world.send(STRANGER, message, isUdp).messages).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })
})

describe('whatever an upstream says', () => {
  const capture = fc.constantFrom(...REPLIES)
  const query = (type: number) => {
    const read = readQuery(question({ type: `UNKNOWN_${type}`, edns: 4096 }))
    if (!read || isBad(read)) throw new Error('a question of the test is none')
    return read
  }

  test('it is read, or is malformed, and what was read is written', () => {
    let good = 0
    fc.assert(
      fc.property(capture, damage, ([whole, type], changes) => {
        const message = damaged(whole, changes)
        try {
          const said = readReply(message, wire(NAME), type)
          good++
          for (const isUdp of [true, false]) {
            const written = encodeReply(query(type), said, { isUdp, ttlOf: (ttl) => ttl })
            const again = readReply(written, wire(NAME), type)
            if (!isUdp) expect(again.answers).toEqual(said.answers)
          }
        } catch (error) {
          if (!(error instanceof MalformedMessage)) throw error
        }
      }),
      { numRuns: 8000 },
    )
    expect(good).toBeGreaterThan(500)
  })

  test('any bytes behind a good head are read, or are malformed', () => {
    const head = replyOf(NAME, 1, {})
    head.writeUInt16BE(3, 6)
    head.writeUInt16BE(2, 8)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (tail) => {
        expect(() => {
          try {
            readReply(Buffer.concat([head, tail]), wire(NAME), 1)
          } catch (error) {
            if (!(error instanceof MalformedMessage)) throw error
          }
        }).not.toThrow()
      }),
      { numRuns: 3000 },
    )
  })

  test('a container is answered once, by addresses that were admitted', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(capture, damage), { minLength: 20, maxLength: 20 }), async (all) => {
        const world = new TestGateway()
        const held = new Set<string>()
        world.kernel = (_, addresses) => {
          for (const { address } of addresses) held.add(address)
          return { refused: new Set(), done: undefined }
        }
        for (const [[whole, type], changes] of all) {
          world.nowMs += 200_000_000
          world.upstream = () => damaged(whole, changes)
          const answered = world.send(WEB, question({ type: `UNKNOWN_${type}` }))
          await turns()
          expect(answered.messages).toHaveLength(1)
          // The other implementation writes some IPv6 addresses in another way.
          for (const address of answered.addresses) expect(held).toContain(parseAddress(address))
        }
      }),
      { numRuns: 50 },
    )
  })
})

test('records of all kinds come out as another implementation put them in', () => {
  const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/)
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'))
  const ttl = fc.nat(0x7fff_ffff)
  const data: fc.Arbitrary<Pick<Answer & { data: unknown }, 'type' | 'data'>> = fc.oneof(
    fc.ipV4().map((address) => ({ type: 'A', data: address }) as const),
    name.map((target) => ({ type: 'NS', data: target }) as const),
    fc
      .record({ preference: fc.nat(65_535), exchange: name })
      .map((mail) => ({ type: 'MX', data: mail }) as const),
    fc
      .record({ priority: fc.nat(65_535), weight: fc.nat(65_535), port: fc.nat(65_535), target: name })
      .map((service) => ({ type: 'SRV', data: service }) as const),
    fc
      .uint8Array({ minLength: 1, maxLength: 40 })
      .map((bytes) => ({ type: 'TXT', data: [Buffer.from(bytes)] }) as const),
  )
  fc.assert(
    fc.property(name, ttl, data, fc.integer({ min: 1, max: 12 }), (owner, seconds, one, count) => {
      const record = { name: owner, class: 'IN', ttl: seconds, flush: false, ...one } as Answer
      const questions = [{ name: owner, type: one.type as 'A', class: 'IN' as const }]
      const asked = readQuery(encode({ type: 'query', id: 1, flags: 0x100, questions }))
      if (!asked || isBad(asked)) throw new Error('a question of the test is none')
      const answers = Array.from({ length: count }, () => record)
      const said = readReply(encode({ type: 'response', id: 1, questions, answers }), asked.name, asked.type)
      const written = decode(encodeReply(asked, said, { isUdp: false, ttlOf: (kept) => kept }))
      expect(written.answers).toEqual(answers)
    }),
    { numRuns: 500 },
  )
})
