import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { a } from '../../support/dns-server.ts'
import { answering, asker, namesOf, SHOP, TestGateway, turns, WEB } from './gateways.ts'
import { question, reply, replyOf, record, TO_QUESTION, uint16, unknownRecord, wire } from './messages.ts'

/** What the owner of an allowed name, and a container that may ask for it, can make of that beside what the entry says. */

const NAME = 'a.example.com'
const TARGET = 'host.example.net'
const wired = (name: string): Buffer => Buffer.from(wire(name), 'latin1')

/** A service record for whatever was asked. */
const leads = {
  SRV: (target: string, port = 443) => Buffer.concat([uint16(1, 1, port), wired(target)]),
  MX: (target: string) => Buffer.concat([uint16(1), wired(target)]),
  HTTPS: (target: string, port?: number) =>
    Buffer.concat([uint16(1), wired(target), ...(port === undefined ? [] : [uint16(3, 2, port)])]),
}
const TYPES = { SRV: 33, MX: 15, HTTPS: 65, SVCB: 64 } as const
type Leading = keyof typeof TYPES

const answerOf = (name: string, type: Leading, data: Buffer): Buffer =>
  replyOf(name, TYPES[type], { answers: [record(TO_QUESTION, TYPES[type], data)] })

/** Does an answer of this type open a question for its target, where the entry has these ports? */
async function leadsOn(ports: string, type: Leading, data: Buffer, name = NAME): Promise<boolean> {
  const world = new TestGateway(answering({ names: namesOf({ web: [name] }, ports) }))
  world.upstream = () => answerOf(name, type, data)
  await world.ask(WEB, { name, type: `UNKNOWN_${TYPES[type]}` })
  world.says([a(TARGET, '192.0.2.7')], { name: TARGET })
  const { addresses } = await world.ask(WEB, { name: TARGET })
  return addresses.length > 0
}

describe('a service record of an allowed name', () => {
  test.each([
    ['80,443', 'SRV', leads.SRV(TARGET, 443), true],
    ['80,443', 'SRV', leads.SRV(TARGET, 5269), false],
    ['5000-6000', 'SRV', leads.SRV(TARGET, 5269), true],
    ['443/udp', 'SRV', leads.SRV(TARGET, 443), true],
    ['icmp', 'SRV', leads.SRV(TARGET, 443), false],
    ['80,443', 'MX', leads.MX(TARGET), false],
    ['25', 'MX', leads.MX(TARGET), true],
    ['443,587', 'MX', leads.MX(TARGET), true],
    ['25/udp', 'MX', leads.MX(TARGET), false],
    ['443', 'HTTPS', leads.HTTPS(TARGET), true],
    ['443', 'HTTPS', leads.HTTPS(TARGET, 443), true],
    ['443', 'HTTPS', leads.HTTPS(TARGET, 8443), false],
    ['443', 'SVCB', leads.HTTPS(TARGET, 8443), false],
    ['8443/udp', 'SVCB', leads.HTTPS(TARGET, 8443), true],
  ] as const)('with ports %s and %s leads on only to a port of the entry', async (ports, type, data, led) => {
    expect(await leadsOn(ports, type, data)).toBe(led)
  })

  test('is of the protocol that its name says', async () => {
    expect(await leadsOn('443/tcp', 'SRV', leads.SRV(TARGET), '_x._tcp.example.com')).toBe(true)
    expect(await leadsOn('443/tcp', 'SRV', leads.SRV(TARGET), '_x._udp.example.com')).toBe(false)
  })

  test.each(Object.keys(TYPES) as Leading[])('leads one step and no further, by %s', async (type) => {
    const world = new TestGateway(answering({ names: namesOf({ web: [NAME] }) }))
    const lead = (target: string): Buffer => leads[type === 'SVCB' ? 'HTTPS' : type](target)
    world.upstream = () => answerOf(NAME, type, lead('one.example.net'))
    await world.ask(WEB, { type: `UNKNOWN_${TYPES[type]}` })
    world.upstream = () => answerOf('one.example.net', type, lead('two.example.net'))
    await world.ask(WEB, { name: 'one.example.net', type: `UNKNOWN_${TYPES[type]}` })
    expect((await world.ask(WEB, { name: 'two.example.net' })).rcode).toBe('REFUSED')
    // The target is looked up, and asked for nothing else.
    world.says([a('one.example.net', '192.0.2.7')], { name: 'one.example.net' })
    expect((await world.ask(WEB, { name: 'one.example.net' })).addresses).toEqual(['192.0.2.7'])
    expect(world.asked.map(({ name }) => name)).toEqual([wire(NAME), wire('one.example.net')])
  })

  test('leads to 32 hosts at the most', async () => {
    const world = new TestGateway(answering({ names: namesOf({ web: [NAME] }) }))
    world.upstream = () =>
      replyOf(NAME, 33, {
        answers: Array.from({ length: 40 }, (_, index) =>
          record(TO_QUESTION, 33, leads.SRV(`h${index}.example.net`)),
        ),
      })
    await world.ask(WEB, { type: 'SRV' })
    for (const [index, rcode] of [
      [0, 'NOERROR'],
      [31, 'NOERROR'],
      [32, 'REFUSED'],
    ] as const) {
      const name = `h${index}.example.net`
      world.says([a(name, '192.0.2.7')], { name })
      expect((await world.ask(WEB, { name })).rcode, name).toBe(rcode)
    }
  })
})

describe('what reaches an upstream of a question for a listed name', () => {
  const PROGRAMS = [1, 2, 5, 6, 12, 15, 16, 28, 33, 35, 64, 65, 257]

  test('is one of a few types; the others have no records, which a client copes with', async () => {
    const world = new TestGateway()
    world.upstream = ({ type }) => reply([], { type: `UNKNOWN_${type}` })
    for (let type = 1; type < 65_536; type += type < 300 ? 1 : 997) {
      const { rcode, messages } = await world.ask(WEB, { type: `UNKNOWN_${type}` })
      if ([41, 251, 252].includes(type)) expect(rcode, `${type}`).toBe('REFUSED')
      else expect(rcode, `${type}`).toBe(type === 255 ? 'NOTIMP' : 'NOERROR')
      expect(messages).toHaveLength(1)
    }
    expect(world.asked.map(({ type }) => type)).toEqual(PROGRAMS)
    expect(world.outcomes.filter((outcome) => outcome === 'denied').length).toBeGreaterThan(200)
  })

  test('is the same whatever flags, letter case, options and ids the container chose', async () => {
    const bit = fc.boolean()
    await fc.assert(
      fc.asyncProperty(
        fc.record({ dnssecOk: bit, checkingDisabled: bit, id: fc.nat(65_535), edns: fc.nat(65_535) }),
        fc.array(bit, { minLength: NAME.length, maxLength: NAME.length }),
        fc.nat(0x7ff),
        fc.uint8Array({ maxLength: 30 }),
        async (asking, capitals, flags, option) => {
          const world = new TestGateway()
          const name = NAME.split('')
            .map((letter, at) => (capitals[at] ? letter.toUpperCase() : letter))
            .join('')
          const message = question({ ...asking, name })
          message.writeUInt16BE(flags & 0x07f0, 2)
          // The last two bytes are the length of the options.
          message.writeUInt16BE(4 + option.length, message.length - 2)
          world.send(WEB, Buffer.concat([message, uint16(65_001, option.length), option]))
          await turns()
          expect(world.asked).toEqual([
            { name: wire(NAME), type: 1, dnssecOk: false, checkingDisabled: false },
          ])
        },
      ),
      { numRuns: 300 },
    )
  })

  test('is any type and flag of who may ask for any name, but for samples', async () => {
    const world = new TestGateway(answering({ askers: { [SHOP]: asker('shop', ['shop'], true) } }))
    world.upstream = ({ type }) => reply([], { type: `UNKNOWN_${type}` })
    for (const type of [43, 48, 52, 255]) await world.ask(SHOP, { type: `UNKNOWN_${type}`, dnssecOk: true })
    expect(world.asked.map(({ type, dnssecOk }) => [type, dnssecOk])).toEqual([
      [43, true],
      [48, true],
      [52, true],
    ])
  })
})

test('a type that is not asked for is told with its name', async () => {
  const world = new TestGateway()
  world.says([unknownRecord(NAME, 10, Buffer.from('secret'))], { type: 'NULL' })
  expect((await world.ask(WEB, { type: 'NULL' })).messages[0]?.includes('secret')).toBe(false)
  expect(world.reports).toMatchObject([{ outcome: 'denied', name: NAME, type: 'other' }])
})
