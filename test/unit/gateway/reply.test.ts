import { encode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { readReply } from '../../../src/gateway/reply.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { MalformedMessage } from '../../../src/dns/message-reader.ts'
import { a, aaaa, cname } from '../../support/dns-server.ts'
import { record, reply, replyOf, soa, TO_QUESTION, uint16, unknownRecord, wire } from './messages.ts'

const NAME = 'a.example.com'
const read = (message: Buffer, type: number = TYPE.A) => readReply(message, wire(NAME), type)
const addressesIn = (message: Buffer, type: number = TYPE.A) =>
  read(message, type).answers.flatMap(({ addresses }) => addresses)
const latin1 = (text: string) => Buffer.from(text, 'latin1')

test('addresses of both families are read', () => {
  expect(addressesIn(reply([a(NAME, '192.0.2.1'), a(NAME, '192.0.2.2')]))).toEqual(['192.0.2.1', '192.0.2.2'])
  expect(addressesIn(reply([aaaa(NAME, '2001:db8::1')], { type: 'AAAA' }), TYPE.AAAA)).toEqual([
    '2001:db8::1',
  ])
})

test('case of letters is of no matter in owners', () => {
  expect(addressesIn(reply([a('A.exAMPle.com', '192.0.2.1')]))).toEqual(['192.0.2.1'])
})

test('whether it was checked is kept', () => {
  expect(read(reply([a(NAME, '192.0.2.1')], { flags: 0x1a0 })).authenticated).toBe(true)
  expect(read(reply([a(NAME, '192.0.2.1')])).authenticated).toBe(false)
})

describe('aliases', () => {
  const chain = [
    a('c.example.net', '192.0.2.1'),
    cname('b.example.net', 'c.example.net'),
    cname(NAME, 'b.example.net'),
  ]

  test('are followed in any order', () => {
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2],
      [2, 0, 1],
    ])
      expect(addressesIn(reply(order.flatMap((index) => chain[index] ?? [])))).toEqual(['192.0.2.1'])
  })

  test('are told in the order in which they lead on', () => {
    expect(read(reply(chain)).answers.map(({ type, owner }) => [type, owner])).toEqual([
      [TYPE.CNAME, wire(NAME)],
      [TYPE.CNAME, wire('b.example.net')],
      [TYPE.A, wire('c.example.net')],
    ])
  })

  const chainOf = (length: number) => [
    ...Array.from({ length }, (_, at) =>
      cname(at === 0 ? NAME : `n${at}.example.com`, `n${at + 1}.example.com`),
    ),
    a(`n${length}.example.com`, '192.0.2.1'),
  ]
  test('may be sixteen', () => expect(addressesIn(reply(chainOf(16)))).toEqual(['192.0.2.1']))
  test('may not be seventeen', () => expect(() => read(reply(chainOf(17)))).toThrow(MalformedMessage))

  test('that are a loop are malformed', () => {
    expect(() => read(reply([cname(NAME, NAME)]))).toThrow(MalformedMessage)
    expect(() => read(reply([cname(NAME, 'b.example.com'), cname('b.example.com', NAME)]))).toThrow(
      MalformedMessage,
    )
  })

  test('without an end are an absence', () => {
    const { answers, ttlSeconds } = read(
      reply([cname(NAME, 'b.example.com', 7)], { authorities: [soa('example.com')] }),
    )
    expect(answers).toHaveLength(1)
    expect(ttlSeconds).toBe(7)
  })

  test('that were asked for are not followed', () => {
    const { answers } = read(
      reply([cname(NAME, 'b.example.com'), cname('b.example.com', 'c.example.com')], { type: 'CNAME' }),
      TYPE.CNAME,
    )
    expect(answers.map(({ target }) => target)).toEqual([wire('b.example.com')])
  })

  test('beside an address are left out', () => {
    const { answers } = read(
      reply([a(NAME, '192.0.2.1'), cname(NAME, 'b.example.com'), a('b.example.com', '192.0.2.2')]),
    )
    expect(answers.map(({ addresses }) => addresses)).toEqual([['192.0.2.1']])
  })
})

describe('left out is', () => {
  test('what no alias leads to', () => {
    expect(addressesIn(reply([a(NAME, '192.0.2.1'), a('b.example.com', '192.0.2.2')]))).toEqual(['192.0.2.1'])
    expect(addressesIn(reply([a('b.example.com', '192.0.2.2')]))).toEqual([])
    expect(addressesIn(reply([a('x.a.example.com', '192.0.2.2'), a('example.com', '192.0.2.3')]))).toEqual([])
  })

  test('another type', () => {
    expect(read(reply([aaaa(NAME, '2001:db8::1')])).answers).toEqual([])
    expect(addressesIn(reply([a(NAME, '192.0.2.1'), aaaa(NAME, '2001:db8::1')]))).toEqual(['192.0.2.1'])
  })

  test('another class', () => {
    const chaos = record(TO_QUESTION, TYPE.A, Buffer.from([192, 0, 2, 9]), { classOf: 3 })
    const internet = record(TO_QUESTION, TYPE.A, Buffer.from([192, 0, 2, 1]))
    expect(addressesIn(replyOf(NAME, TYPE.A, { answers: [chaos, internet] }))).toEqual(['192.0.2.1'])
    expect(addressesIn(replyOf(NAME, TYPE.A, { answers: [chaos] }))).toEqual([])
  })

  test('authority of a positive answer, and what is no proof of a negative one', () => {
    const ns = { type: 'NS', name: 'example.com', data: 'ns.example.com', ttl: 60 } as const
    expect(read(reply([a(NAME, '192.0.2.1')], { authorities: [soa('example.com')] })).authority).toEqual([])
    const { authority } = read(reply([], { rcode: 3, authorities: [ns, soa('example.com')] }))
    expect(authority.map(({ type }) => type)).toEqual([TYPE.SOA])
  })
})

test('signatures of what is kept are kept', () => {
  const signature = (owner: Buffer | string) => record(owner, TYPE.RRSIG, Buffer.alloc(20, 1))
  const address = record(TO_QUESTION, TYPE.A, Buffer.from([192, 0, 2, 1]))
  const { answers } = read(
    replyOf(NAME, TYPE.A, { answers: [address, signature(TO_QUESTION), signature('b.example.com')] }),
  )
  expect(answers.map(({ type }) => type)).toEqual([TYPE.A, TYPE.RRSIG])
})

describe('compressed names are written out', () => {
  const only = (type: number, data: Buffer) => {
    const { answers } = read(replyOf(NAME, type, { answers: [record(TO_QUESTION, type, data)] }), type)
    return { data: answers[0]?.data.toString('latin1'), target: answers[0]?.target }
  }
  /** Points to `example.com` in the question. */
  const suffix = uint16(0xc00e)

  test.each([
    ['MX', TYPE.MX, '\0\x0a', 'mx'],
    ['SRV', TYPE.SRV, '\0\x01\0\x02\x01\xbb', 'srv'],
    ['CNAME', TYPE.CNAME, '', 'www'],
  ])('of %s, which leads on', (_, type, before, label) => {
    const data = Buffer.concat([latin1(`${before}${String.fromCharCode(label.length)}${label}`), suffix])
    const target = wire(`${label}.example.com`)
    expect(only(type, data)).toEqual({ data: `${before}${target}`, target })
  })

  test.each([
    ['NS', TYPE.NS],
    ['PTR', TYPE.PTR],
  ])('of %s, which does not lead on', (_, type) => {
    expect(only(type, suffix)).toEqual({ data: wire('example.com'), target: undefined })
  })

  test('of SOA, both', () => {
    const rest = Buffer.alloc(20, 7)
    expect(only(TYPE.SOA, Buffer.concat([suffix, latin1('\x04root'), suffix, rest]))).toEqual({
      data: `${wire('example.com')}${wire('root.example.com')}${rest.toString('latin1')}`,
      target: undefined,
    })
  })
})

describe('hints of a service', () => {
  const service = (...parameters: Buffer[]) => Buffer.concat([latin1('\0\x01\0'), ...parameters])
  const parameter = (key: number, value: Buffer) => Buffer.concat([uint16(key, value.length), value])
  const v4 = parameter(4, Buffer.from([192, 0, 2, 1, 192, 0, 2, 2]))
  const v6 = parameter(6, Buffer.from([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]))
  const alpn = parameter(1, latin1('\x02h2'))
  const answering = (data: Buffer, type: number = TYPE.HTTPS) =>
    read(reply([unknownRecord(NAME, type, data)], { type: `UNKNOWN_${type}` }), type).answers[0]

  test.each([TYPE.SVCB, TYPE.HTTPS])('of type %d are addresses', (type) => {
    expect(answering(service(alpn, v4, v6), type)).toMatchObject({
      addresses: ['192.0.2.1', '192.0.2.2', '2001:db8::1'],
      target: undefined,
    })
  })

  test('may be missing', () => {
    expect(answering(service(alpn))?.addresses).toEqual([])
    expect(answering(service())?.addresses).toEqual([])
  })

  test('stand beside the name to which it leads', () => {
    expect(answering(latin1(`\0\0${wire('svc.example.net')}`))?.target).toBe(wire('svc.example.net'))
  })

  test.each([
    ['an IPv4 hint of five bytes', service(parameter(4, Buffer.alloc(5)))],
    ['an IPv6 hint of four bytes', service(parameter(6, Buffer.alloc(4)))],
    ['a parameter that ends too early', service(v4.subarray(0, -1))],
    ['half a key', service(Buffer.from([0]))],
    ['nothing', Buffer.alloc(0)],
    ['a priority alone', uint16(1)],
    ['a target that is not whole', latin1('\0\x01\x03ab')],
  ])('malformed: %s', (_, data) => expect(() => answering(data)).toThrow(MalformedMessage))

  test('malformed: a target that points elsewhere, which a client would look for in another message', () => {
    const data = Buffer.concat([latin1('\0\x01\x01a'), uint16(0xc000), v4])
    expect(() => answering(data)).toThrow(MalformedMessage)
  })
})

describe('how long it holds', () => {
  test('is the least of its records', () => {
    const chain = [
      cname(NAME, 'b.example.com', 90),
      a('b.example.com', '192.0.2.1', 30),
      a(NAME, '192.0.2.9', 5),
    ]
    expect(read(reply(chain.slice(0, 2))).ttlSeconds).toBe(30)
    expect(read(reply([a(NAME, '192.0.2.1', 40), a(NAME, '192.0.2.2', 20)])).ttlSeconds).toBe(20)
  })

  test.each([
    [0x7fff_ffff, 0x7fff_ffff],
    [0x8000_0000, 0],
    [0xffff_ffff, 0],
  ])('as %d is %d', (ttl, seconds) => {
    const address = record(TO_QUESTION, TYPE.A, Buffer.from([192, 0, 2, 1]), { ttl })
    const { ttlSeconds, answers } = read(replyOf(NAME, TYPE.A, { answers: [address] }))
    expect([ttlSeconds, answers[0]?.ttlSeconds]).toEqual([seconds, seconds])
  })

  test.each([
    [3, 300, 600, 300],
    [0, 300, 600, 300],
    [3, 900, 600, 600],
  ])('of an absence (rcode %d) is what its SOA says: %d of %d', (rcode, minimum, ttl, seconds) => {
    expect(read(reply([], { rcode, authorities: [soa('example.com', minimum, ttl)] })).ttlSeconds).toBe(
      seconds,
    )
  })

  test('is not known of an absence without SOA, nor of a failure', () => {
    expect(read(reply([], { rcode: 3 })).ttlSeconds).toBeUndefined()
    expect(read(reply([])).ttlSeconds).toBeUndefined()
    expect(read(reply([a(NAME, '192.0.2.1')], { rcode: 2 })).ttlSeconds).toBeUndefined()
  })
})

describe('malformed is', () => {
  const address = (length: number) => record(TO_QUESTION, TYPE.A, Buffer.alloc(length))

  test.each([0, 3, 5, 16])('an IPv4 address of %d bytes', (length) => {
    expect(() => read(replyOf(NAME, TYPE.A, { answers: [address(length)] }))).toThrow(MalformedMessage)
  })

  test.each([0, 4, 15, 17])('an IPv6 address of %d bytes', (length) => {
    const answers = [record(TO_QUESTION, TYPE.AAAA, Buffer.alloc(length))]
    expect(() => read(replyOf(NAME, TYPE.AAAA, { answers }), TYPE.AAAA)).toThrow(MalformedMessage)
  })

  test('a SOA of any length but its own', () => {
    for (let length = 0; length < 26; length++) {
      const authority = [record(TO_QUESTION, TYPE.SOA, Buffer.alloc(length))]
      const readIt = () => read(replyOf(NAME, TYPE.A, { authority, rcode: RCODE.nxDomain }))
      if (length === 22) expect(readIt().ttlSeconds).toBe(0)
      else expect(readIt).toThrow(MalformedMessage)
    }
  })

  test.each([
    ['MX', TYPE.MX],
    ['SRV', TYPE.SRV],
    ['CNAME', TYPE.CNAME],
  ])('%s with too little, or with more behind its name', (_, type) => {
    const before = type === TYPE.MX ? 2 : type === TYPE.SRV ? 6 : 0
    const readIt = (data: Buffer) => () =>
      read(replyOf(NAME, type, { answers: [record(TO_QUESTION, type, data)] }), type)
    for (let length = 0; length < before; length++)
      expect(readIt(Buffer.alloc(length))).toThrow(MalformedMessage)
    expect(readIt(Buffer.alloc(before + 1))).not.toThrow()
    expect(readIt(Buffer.alloc(before + 2))).toThrow(MalformedMessage)
    expect(readIt(Buffer.alloc(before))).toThrow(MalformedMessage)
  })

  test('any good answer that is cut off', () => {
    const whole = reply([cname(NAME, 'b.example.com'), a('b.example.com', '192.0.2.1')], {
      authorities: [soa('example.com')],
    })
    for (let length = 0; length < whole.length; length++)
      expect(() => read(whole.subarray(0, length))).toThrow(MalformedMessage)
  })

  test('one that claims more records than it can have', () => {
    const message = reply([])
    message.writeUInt16BE(0xffff, 6)
    expect(() => read(message)).toThrow(MalformedMessage)
  })
})

test('what stands in the additional section is passed over', () => {
  const message = encode({
    type: 'response',
    id: 0,
    flags: 0x180,
    questions: [{ name: NAME, type: 'A' }],
    answers: [a(NAME, '192.0.2.1')],
    additionals: [a(NAME, '192.0.2.66')],
  })
  expect(addressesIn(message)).toEqual(['192.0.2.1'])
})

test('thousands of records are read within a moment, and the first of them kept', () => {
  const answers = Array.from({ length: 3000 }, (_, at) =>
    record(TO_QUESTION, TYPE.A, Buffer.from([10, 0, at >> 8, at & 255])),
  )
  const startedMs = performance.now()
  expect(addressesIn(replyOf(NAME, TYPE.A, { answers }))).toHaveLength(256)
  expect(performance.now() - startedMs).toBeLessThan(1000)
})
