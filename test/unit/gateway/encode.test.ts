import { decode, type Answer } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { encodeBad, encodeError, encodeReply, EMPTY, NXDOMAIN, REFUSED } from '../../../src/gateway/encode.ts'
import { readReply } from '../../../src/gateway/reply.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { a, aaaa, cname } from '../../support/dns-server.ts'
import { queryOf, question, reply, soa, unknownRecord, wire, type Asking, type Telling } from './messages.ts'

const NAME = 'a.example.com'
const KEPT = (ttl: number) => ttl

function answered(
  answers: readonly Answer[],
  {
    asking = {},
    telling = {},
    isUdp = true,
    ttlOf = KEPT,
  }: { asking?: Asking; telling?: Telling; isUdp?: boolean; ttlOf?: (ttl: number) => number } = {},
): Buffer {
  const query = queryOf(question(asking))
  const said = readReply(reply(answers, { ...asking, ...telling }), query.name, query.type)
  return encodeReply(query, said, { isUdp, ttlOf })
}

const recordsOf = (message: Buffer) =>
  (decode(message).answers ?? []).map((record) => {
    const { name, type, ttl, data } = record as { name: string; type: string; ttl: number; data: unknown }
    return { name, type, ttl, data }
  })

describe('what is encoded is read by another implementation as', () => {
  test.each([
    ['addresses', 'A', [a(NAME, '192.0.2.1', 5), a(NAME, '192.0.2.2', 6)]],
    ['IPv6 addresses', 'AAAA', [aaaa(NAME, '2001:db8::1')]],
    [
      'aliases',
      'A',
      [
        cname(NAME, 'b.example.com'),
        cname('b.example.com', 'c.example.net'),
        a('c.example.net', '192.0.2.1'),
      ],
    ],
    [
      'mail',
      'MX',
      [{ type: 'MX', name: NAME, ttl: 60, data: { preference: 10, exchange: 'mx.example.com' } }],
    ],
    [
      'services',
      'SRV',
      [
        {
          type: 'SRV',
          name: NAME,
          ttl: 60,
          data: { port: 443, priority: 1, weight: 2, target: 'b.example.com' },
        },
      ],
    ],
    [
      'text',
      'TXT',
      [{ type: 'TXT', name: NAME, ttl: 60, data: [Buffer.from('v=spf1'), Buffer.from('-all')] }],
    ],
    ['servers', 'NS', [{ type: 'NS', name: NAME, ttl: 60, data: 'ns.example.com' }]],
    ['what it does not know', 'UNKNOWN_65', [unknownRecord(NAME, 65, Buffer.from([0, 1, 0]))]],
  ] as [string, string, Answer[]][])('%s', (_, type, answers) => {
    const message = answered(answers, { asking: { type } })
    expect(recordsOf(message)).toEqual(
      answers.map((record) => {
        const { name, ttl, data } = record as { name: string; ttl: number; data: unknown }
        return { name, type: record.type, ttl, data }
      }),
    )
    expect(decode(message)).toMatchObject({
      type: 'response',
      rcode: 'NOERROR',
      authorities: [],
      additionals: [],
    })
  })

  test('an absence with its proof', () => {
    const message = answered([], { telling: { rcode: 3, authorities: [soa('example.com')] } })
    expect(decode(message)).toMatchObject({ rcode: 'NXDOMAIN' })
    expect(decode(message).authorities).toMatchObject([
      { type: 'SOA', name: 'example.com', data: { minimum: 300 } },
    ])
  })
})

test('proofs other than the SOA are for those who asked for signatures', () => {
  const authorities = [unknownRecord('example.com', TYPE.NSEC3, Buffer.alloc(30)), soa('example.com')]
  const telling = { rcode: 3, authorities }
  const count = (asking: Asking) => answered([], { asking, telling }).readUInt16BE(8)
  expect([count({}), count({ edns: 1232 }), count({ dnssecOk: true })]).toEqual([1, 1, 2])
})

describe('the head', () => {
  test('repeats id and question letter by letter', () => {
    const message = answered([a(NAME, '192.0.2.1')], { asking: { name: 'A.eXample.COM', id: 54_321 } })
    expect(decode(message)).toMatchObject({ id: 54_321, questions: [{ name: 'A.eXample.COM', type: 'A' }] })
  })

  test('says that recursion is there, and that nobody is an authority', () => {
    expect(decode(answered([a(NAME, '192.0.2.1')]))).toMatchObject({
      flag_ra: true,
      flag_aa: false,
      flag_rd: true,
    })
  })

  test('says what was checked, and what was not wanted to be', () => {
    const checked = answered([a(NAME, '192.0.2.1')], { telling: { flags: 0x1a0 } })
    expect(decode(checked)).toMatchObject({ flag_ad: true, flag_cd: false })
    const unchecked = answered([a(NAME, '192.0.2.1')], { asking: { checkingDisabled: true } })
    expect(decode(unchecked)).toMatchObject({ flag_ad: false, flag_cd: true })
  })

  test('has options only for those who had', () => {
    const optionsFor = (asking: Asking) => decode(answered([a(NAME, '192.0.2.1')], { asking })).additionals
    expect(optionsFor({})).toEqual([])
    expect(optionsFor({ edns: 4096 })).toMatchObject([{ type: 'OPT', udpPayloadSize: 1232, flag_do: false }])
    expect(optionsFor({ dnssecOk: true })).toMatchObject([{ type: 'OPT', flag_do: true }])
  })
})

test('TTLs are what they are made', () => {
  const answers = [cname(NAME, 'b.example.com', 100), a('b.example.com', '192.0.2.1', 50)]
  const message = answered(answers, { ttlOf: (ttl) => ttl - 40 })
  expect(recordsOf(message).map(({ ttl }) => ttl)).toEqual([60, 10])
})

describe('what is too large', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => a(NAME, `192.0.${at >> 8}.${at & 255}`))
  /** Of a plain answer with so many addresses. */
  const bytesOf = (count: number, edns: boolean) => 12 + wire(NAME).length + 4 + count * 16 + (edns ? 11 : 0)

  test.each([
    ['says nothing', undefined, 512],
    ['takes 300', 300, 512],
    ['takes 800', 800, 800],
    ['takes 1232', 1232, 1232],
    ['takes 4096', 4096, 1232],
  ])('for who %s is cut', (_, edns, most) => {
    const asking = edns === undefined ? {} : { edns }
    let fits = 0
    while (bytesOf(fits + 1, edns !== undefined) <= most) fits++
    const whole = answered(many(fits), { asking })
    expect(whole.length).toBe(bytesOf(fits, edns !== undefined))
    expect(decode(whole)).toMatchObject({ flag_tc: false })
    expect(decode(whole).answers).toHaveLength(fits)
    const cut = answered(many(fits + 1), { asking, telling: { flags: 0x1a0 } })
    expect(cut.length).toBe(bytesOf(fits, edns !== undefined))
    expect(decode(cut)).toMatchObject({
      flag_tc: true,
      flag_ad: false,
      authorities: [],
      questions: [{ name: NAME }],
    })
    expect(recordsOf(cut)).toEqual(
      recordsOf(answered(many(fits + 1), { asking, isUdp: false })).slice(0, fits),
    )
  })

  test('has the aliases first, whole, and then as many addresses as fit', () => {
    const [one, two] = ['b'.repeat(60), 'c'.repeat(60)].map((label) => `${label}.example.net`)
    const addresses = many(40).map((record) => ({ ...record, name: two! }))
    const message = answered([...addresses, cname(one!, two!), cname(NAME, one!)])
    const { flag_tc: isCut } = decode(message) as { flag_tc?: boolean }
    const types = recordsOf(message).map(({ type }) => type)
    expect([isCut, types.slice(0, 3)]).toEqual([true, ['CNAME', 'CNAME', 'A']])
    expect(types.length).toBeGreaterThan(15)
    expect(message.length).toBeGreaterThan(512 - 16)
  })

  test('is whole over TCP', () => {
    const message = answered(many(256), { isUdp: false })
    expect(decode(message)).toMatchObject({ flag_tc: false })
    expect(decode(message).answers).toHaveLength(256)
  })

  test('is cut when its proof alone does not fit', () => {
    const authorities = [unknownRecord('example.com', TYPE.NSEC3, Buffer.alloc(1200))]
    const message = answered([], { asking: { dnssecOk: true }, telling: { rcode: 3, authorities } })
    expect(decode(message)).toMatchObject({ flag_tc: true, rcode: 'NXDOMAIN', authorities: [] })
  })

  test('leaves nothing behind for the next one', () => {
    answered(many(3000), { isUdp: false })
    const first = answered([a(NAME, '192.0.2.1')])
    answered(many(30))
    expect(recordsOf(first)).toMatchObject([{ data: '192.0.2.1' }])
  })
})

test('names beyond the reach of a pointer are written out', () => {
  const names = Array.from({ length: 500 }, (_, at) => `n${at}-${'x'.repeat(40)}.example.com`)
  const mails = names.map((exchange) => ({
    type: 'MX' as const,
    name: NAME,
    ttl: 1,
    data: { preference: 1, exchange },
  }))
  const message = answered(mails, { asking: { type: 'MX' }, isUdp: false })
  expect(message.length).toBeGreaterThan(0x4000)
  expect(recordsOf(message).map(({ data }) => (data as { exchange: string }).exchange)).toEqual(names)
})

test.each([
  ['REFUSED', REFUSED],
  ['NXDOMAIN', NXDOMAIN],
  ['NOERROR', EMPTY],
])('%s is said without records', (rcode, nothing) => {
  const message = encodeReply(queryOf(question({ edns: 1232 })), nothing, { isUdp: true, ttlOf: KEPT })
  expect(decode(message)).toMatchObject({
    rcode,
    answers: [],
    authorities: [],
    additionals: [{ type: 'OPT' }],
  })
})

test.each([
  ['NOTIMP', RCODE.notImp],
  ['SERVFAIL', RCODE.servFail],
])('%s repeats the question, and says nothing else', (rcode, code) => {
  const message = encodeError(queryOf(question({ id: 9, edns: 1232 })), code)
  expect(decode(message)).toMatchObject({
    id: 9,
    rcode,
    questions: [{ name: NAME }],
    answers: [],
    authorities: [],
    additionals: [{ type: 'OPT' }],
  })
})

test('what is no question is answered with as much as was read of it', () => {
  const head = { id: 9, recursionDesired: true }
  expect(decode(encodeBad({ rcode: RCODE.formErr, query: head }))).toMatchObject({
    id: 9,
    type: 'response',
    rcode: 'FORMERR',
    flag_rd: true,
    questions: [],
  })
  const { asked } = queryOf(question())
  expect(decode(encodeBad({ rcode: RCODE.refused, query: { ...head, asked } }))).toMatchObject({
    rcode: 'REFUSED',
    questions: [{ name: NAME, type: 'A' }],
  })
})
