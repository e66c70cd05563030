import { decode } from 'dns-packet'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { a } from '../../support/dns-server.ts'
import { answering, asker, namesOf, TestGateway, turns, WEB } from './gateways.ts'
import type { AnswerPolicy, Asker } from '../../../src/gateway/model.ts'
import { question, type Asking } from './messages.ts'

const ALLOWED = ['api.example.com', '**.deep.example.net']

function worldOf(
  denied: 'nxdomain' | 'refused' | 'zero',
  policies: readonly string[] = ['web'],
): TestGateway {
  const lists = Object.fromEntries(policies.map((policy) => [policy, ALLOWED]))
  const askers = { [WEB]: asker('web', policies) }
  return new TestGateway(answering({ config: { denied }, names: namesOf(lists), askers }))
}

/** What the extended error of the answer says: its code and text. */
async function whyOf(world: TestGateway, asking: Asking): Promise<[number, string] | undefined> {
  const { messages } = await world.ask(WEB, asking)
  const [options] = (decode(messages[0] ?? Buffer.alloc(0)).additionals ?? []) as {
    options: { code: number; data: Buffer }[]
  }[]
  const found = options?.options.find(({ code }) => code === 15)
  return found && [found.data.readUInt16BE(0), found.data.toString('utf8', 2)]
}

const EVIL = 'evil.example.org'

describe('an extended error says that it is policy', () => {
  test.each([
    ['nxdomain', 'A', 15],
    ['refused', 'A', 15],
    ['zero', 'TXT', 15],
    // An answer that nobody gave.
    ['zero', 'A', 4],
  ] as const)('where denied is %s, for %s', async (denied, type, code) => {
    const world = worldOf(denied)
    const asking = { name: EVIL, type }
    expect(await whyOf(world, { ...asking, edns: 1232 })).toEqual([
      code,
      'embargod: not allowed by policy web',
    ])
    expect(await whyOf(world, asking)).toBeUndefined()
  })

  test('and none is told of what is allowed', async () => {
    const world = worldOf('nxdomain')
    world.says([a('api.example.com', '192.0.2.1')], { name: 'api.example.com' })
    expect(await whyOf(world, { name: 'api.example.com', edns: 1232 })).toBeUndefined()
  })

  test('in the smallest datagram too, however many policies and letters there are', async () => {
    const policies = Array.from({ length: 16 }, (_, index) => `policy-with-a-long-name-${index}`)
    const name = Array.from({ length: 4 }, () => 'x'.repeat(61)).join('.')
    for (const denied of ['nxdomain', 'zero'] as const) {
      const { messages } = await worldOf(denied, policies).ask(WEB, { name, edns: 512 })
      expect(messages[0]?.length).toBeLessThanOrEqual(512)
      expect(decode(messages[0] ?? Buffer.alloc(0))).toMatchObject({ flag_tc: false })
      expect(await whyOf(worldOf(denied, policies), { name, edns: 512 })).toEqual([
        denied === 'zero' ? 4 : 15,
        expect.stringMatching(/^embargod: not allowed by policy policy-with-a-long-name-0\+.{1,100}\.\.\.$/),
      ])
    }
  })
})

describe('an allowed name that is not answered in full says why', () => {
  const NAME = 'api.example.com'
  const all = (given: readonly { address: string }[]) => new Set(given.map(({ address }) => address as never))

  test.each<[string, string, (world: TestGateway) => void, [number, string]]>([
    ['a type that is not asked for', 'NULL', () => undefined, [21, 'records of this type']],
    [
      'an address that was refused',
      'A',
      (world) => (world.kernel = (_, given) => ({ refused: all(given), done: undefined })),
      [15, 'left out'],
    ],
    [
      'no room',
      'A',
      (world) => (world.kernel = (_, given) => ({ refused: all(given), isFull: true, done: undefined })),
      [0, 'no room'],
    ],
    [
      'a kernel that does not hold it',
      'A',
      (world) => (world.kernel = () => ({ refused: new Set(), done: Promise.reject(new Error('full')) })),
      [0, 'in time'],
    ],
  ])('%s', async (_, type, spoil, [code, text]) => {
    const world = worldOf('nxdomain')
    world.says([a(NAME, '192.0.2.1')], { name: NAME })
    spoil(world)
    expect(await whyOf(world, { name: NAME, type, edns: 1232 })).toEqual([
      code,
      expect.stringContaining(text),
    ])
  })
})

test('a denial is not to be kept', async () => {
  for (const denied of ['nxdomain', 'refused'] as const) {
    const { messages } = await worldOf(denied).ask(WEB, { name: EVIL, edns: 1232 })
    expect(decode(messages[0] ?? Buffer.alloc(0))).toMatchObject({ answers: [], authorities: [] })
  }
  expect((await worldOf('zero').ask(WEB, { name: EVIL })).ttls).toEqual([5])
})

describe('where the answer is an address that leads nowhere', () => {
  test.each([
    'api.example.com.corp.internal',
    'api.example.com.a.b.c.d.e.f.g.h',
    'API.example.com.local',
    'x.deep.example.net.corp.internal',
  ])('%s, which a search list makes of an allowed name, gets none', async (name) => {
    for (const type of ['A', 'AAAA'])
      expect(await worldOf('zero').ask(WEB, { name, type })).toMatchObject({
        rcode: 'NXDOMAIN',
        addresses: [],
      })
  })

  test.each([
    EVIL,
    'example.com',
    'api.example.org',
    'xapi.example.com.corp',
    'deep.example.net',
    'api',
    'com',
  ])('%s gets it', async (name) => {
    expect((await worldOf('zero').ask(WEB, { name })).addresses).toEqual(['0.0.0.0'])
  })

  test('a name of labels without end costs no more than one of eight', async () => {
    const world = worldOf('zero')
    let looks = 0
    const names = namesOf({ web: ALLOWED })
    const match = names.match.bind(names)
    names.match = (name) => {
      looks++
      return match(name)
    }
    world.gateway.setPolicy(answering({ config: { denied: 'zero' }, names }))
    world.send(WEB, question({ name: Array.from({ length: 120 }, () => 'x').join('.') }))
    expect(looks).toBe(9)
  })
})

describe('a source that no known container holds', () => {
  afterEach(() => void vi.useRealTimers())

  const NAME = 'own.example.com'
  const unknown = asker('unknown', ['common'])
  const names = namesOf({ common: ['api.example.com'], web: [NAME] })
  const by = (who: Asker): AnswerPolicy => ({
    ...answering({ config: { denied: 'nxdomain' }, names, askers: { [WEB]: who } }),
    askerState: () => (who === unknown ? 'unknown' : 'settled'),
    askerWaitMs: 1_000,
  })

  function start(): TestGateway {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const world = new TestGateway(by(unknown))
    world.says([a(NAME, '192.0.2.1')], { name: NAME })
    return world
  }

  test('is answered by the rights of the container that it turns out to be', async () => {
    const world = start()
    const answered = await world.ask(WEB, { name: NAME })
    await vi.advanceTimersByTimeAsync(500)
    expect(answered.messages).toEqual([])
    world.gateway.setPolicy(by(asker('web', ['common', 'web'])))
    await turns()
    expect(answered.addresses).toEqual(['192.0.2.1'])
    expect(world.outcomes).toEqual(['answered'])
  })

  test('waits for a second, once, and only for what is denied', async () => {
    const world = start()
    const first = await world.ask(WEB, { name: NAME })
    await vi.advanceTimersByTimeAsync(900)
    expect(first.messages).toEqual([])
    world.says([a('api.example.com', '192.0.2.1')], { name: 'api.example.com' })
    expect((await world.ask(WEB, { name: 'api.example.com' })).addresses).toEqual(['192.0.2.1'])
    await vi.advanceTimersByTimeAsync(200)
    expect(first.rcode).toBe('NXDOMAIN')
    expect((await world.ask(WEB, { name: NAME })).rcode).toBe('NXDOMAIN')
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(60_000)
    // The address may be another container's by now.
    const later = await world.ask(WEB, { name: NAME })
    expect(later.messages).toEqual([])
    await vi.advanceTimersByTimeAsync(1_100)
    expect([later.rcode, later.messages.length]).toEqual(['NXDOMAIN', 1])
  })
})
