import { encode } from 'dns-packet'
import { describe, expect, test } from 'vitest'
import { dotted } from '../../../src/dns/name.ts'
import { readQuery } from '../../../src/gateway/query.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { queryOf, question, uint16, wire } from './messages.ts'

const head = (flags: number, counts: readonly number[] = [1, 0, 0, 0]) => uint16(7, flags, ...counts)
const asked = (name: string | Buffer, type = 1, classOf = 1) =>
  Buffer.concat([typeof name === 'string' ? Buffer.from(wire(name), 'latin1') : name, uint16(type, classOf)])
const opt = (bytes = 1232, flags = 0, owner = Buffer.from([0])) =>
  Buffer.concat([owner, uint16(TYPE.OPT, bytes, 0, flags, 0)])
const rcodeFor = (...parts: Buffer[]) => readQuery(Buffer.concat(parts))

describe('a question', () => {
  test('is read as it was asked', () => {
    const message = question({ name: 'wWw.Example.COM', type: 'AAAA', id: 99 })
    expect(readQuery(message)).toEqual({
      id: 99,
      recursionDesired: true,
      checkingDisabled: false,
      name: wire('www.example.com'),
      dotted: 'www.example.com',
      asked: asked('wWw.Example.COM', 28),
      type: 28,
      edns: undefined,
      maxBytes: 512,
    })
  })

  test.each([
    [1, 512],
    [511, 512],
    [512, 512],
    [1400, 1400],
    [65_535, 65_535],
  ])('with extended DNS of %d bytes takes %d', (edns, maxBytes) => {
    expect(readQuery(question({ edns }))).toMatchObject({ edns: { dnssecOk: false }, maxBytes })
  })

  test('tells whether it wants signatures, and whether checked', () => {
    expect(queryOf(question({ dnssecOk: true })).edns).toEqual({ dnssecOk: true })
    expect(queryOf(question({ checkingDisabled: true })).checkingDisabled).toBe(true)
  })

  test('may not ask for recursion', () => {
    expect(rcodeFor(head(0), asked('a.example.com'))).toMatchObject({ recursionDesired: false })
  })

  test('may be for the root, and for 255 bytes of name', () => {
    expect(rcodeFor(head(0x100), asked(''))).toMatchObject({ name: '\0' })
    const long = ['x'.repeat(63), 'x'.repeat(63), 'x'.repeat(63), 'x'.repeat(61)].join('.')
    expect(rcodeFor(head(0x100), asked(long))).toMatchObject({ name: wire(long) })
  })

  test('may bear other records beside the options', () => {
    const other = Buffer.concat([Buffer.from([0]), uint16(250, 255, 0, 0, 2, 0x1234)])
    expect(rcodeFor(head(0x100, [1, 0, 0, 2]), asked('a.example.com'), other, opt(4096))).toMatchObject({
      maxBytes: 4096,
    })
  })
})

describe('no answer goes to', () => {
  test('what is too short for a header', () => {
    for (let length = 0; length < 12; length++) expect(readQuery(Buffer.alloc(length))).toBeUndefined()
  })

  test('an answer, whatever else it is', () => {
    for (const flags of [0x8000, 0x8180, 0xa000, 0xffff])
      expect(rcodeFor(head(flags), asked('a.example.com'))).toBeUndefined()
  })
})

describe('malformed is', () => {
  const malformed = { rcode: RCODE.formErr, query: { id: 7, recursionDesired: true } }
  const name = asked('a.example.com')

  test.each([
    ['no question', [0, 0, 0, 0]],
    ['two questions', [2, 0, 0, 0]],
    ['an answer in it', [1, 1, 0, 0]],
    ['an authority in it', [1, 0, 1, 0]],
    ['five additional records', [1, 0, 0, 5]],
  ])('%s', (_, counts) => {
    expect(rcodeFor(head(0x100, counts), name, name, opt(), opt())).toEqual(malformed)
  })

  test('what ends too early', () => {
    const whole = Buffer.concat([head(0x100, [1, 0, 0, 1]), name, opt()])
    for (let length = 12; length < whole.length; length++)
      expect(readQuery(whole.subarray(0, length))).toEqual(malformed)
    expect(readQuery(whole)).toMatchObject({ type: 1 })
  })

  test.each([
    ['to itself', uint16(0xc00c)],
    ['ahead', uint16(0xc010)],
    ['into the header', uint16(0xc004)],
    ['behind a label', Buffer.concat([Buffer.from('\x01a', 'latin1'), uint16(0xc005)])],
  ])('a question that points %s', (_, bytes) => {
    expect(rcodeFor(head(0x100), asked(bytes))).toEqual(malformed)
  })

  test.each([0x40, 0x80])('a label of the type %d', (type) => {
    expect(rcodeFor(head(0x100), asked(Buffer.from([type + 1, 0x61, 0])))).toEqual(malformed)
  })

  test('a name of 256 bytes', () => {
    const long = ['x'.repeat(63), 'x'.repeat(63), 'x'.repeat(63), 'x'.repeat(62)].join('.')
    expect(rcodeFor(head(0x100), asked(long))).toEqual(malformed)
  })

  test('options said twice, and options of somebody', () => {
    expect(rcodeFor(head(0x100, [1, 0, 0, 2]), name, opt(), opt())).toEqual(malformed)
    const owned = opt(1232, 0, Buffer.from('\x01a\0', 'latin1'))
    expect(rcodeFor(head(0x100, [1, 0, 0, 1]), name, owned)).toEqual(malformed)
  })
})

test.each([1, 2, 4, 5, 15])('the operation %d is not implemented', (opcode) => {
  expect(rcodeFor(head(0x100 | (opcode << 11)), asked('a.example.com'))).toMatchObject({
    rcode: RCODE.notImp,
  })
})

test.each([
  ['another class', 1, 3],
  ['any class', 1, 255],
  ['options', TYPE.OPT, 1],
  ['a whole zone', TYPE.AXFR, 1],
  ['changes of a zone', TYPE.IXFR, 1],
])('refused is %s, with the question repeated', (_, type, classOf) => {
  expect(rcodeFor(head(0x100), asked('A.example.com', type, classOf))).toEqual({
    rcode: RCODE.refused,
    query: { id: 7, recursionDesired: true, asked: asked('A.example.com', type, classOf) },
  })
})

test.each([
  ['www.example.com', 'www.example.com'],
  ['_sip._tcp.example.com', '_sip._tcp.example.com'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ['com', 'com'],
  ['', undefined],
  ['a b.example.com', undefined],
  ['a\0.example.com', undefined],
  ['a\n.example.com', undefined],
  ['\xe4.example.com', undefined],
  ['*.example.com', undefined],
])('the name %j is %j', (name, text) => expect(dotted(wire(name))).toBe(text))

test('a dot within a label is no end of it', () => {
  const message = Buffer.concat([head(0x100), asked(Buffer.from('\x0dexample.com.x\x03com\0', 'latin1'))])
  expect(dotted(queryOf(message).name)).toBeUndefined()
  expect(dotted('\x03a.b\x03com\0')).toBeUndefined()
})

test('bytes above ASCII keep their case', () => {
  const message = Buffer.concat([head(0x100), asked(Buffer.from('\x02\xc4A\0', 'latin1'))])
  expect(queryOf(message).name).toBe('\x02\xc4a\0')
})

test('what another implementation asks with all its flags is read', () => {
  const message = encode({
    type: 'query',
    id: 1,
    flags: 0x0130,
    questions: [{ name: 'a.example.com', type: 'TXT', class: 'IN' }],
  })
  expect(readQuery(message)).toMatchObject({ type: TYPE.TXT, checkingDisabled: true })
})
