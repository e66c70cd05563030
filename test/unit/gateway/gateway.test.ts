import { decode } from 'dns-packet'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { a, aaaa, cname } from '../../support/dns-server.ts'
import {
  answering,
  asker,
  deferred,
  NAMES,
  namesOf,
  refusing,
  SHOP,
  STRANGER,
  TestGateway,
  turns,
  WEB,
} from './gateways.ts'
import { question, reply, soa, unknownRecord, wire } from './messages.ts'

const NAME = 'a.example.com'
const DAY_MS = 86_400_000
const ADDRESS = a(NAME, '192.0.2.1', 60)

afterEach(() => void vi.useRealTimers())

describe('an allowed name', () => {
  test('is answered once the kernel holds its addresses', async () => {
    const world = new TestGateway()
    const held = deferred()
    world.says([a(NAME, '192.0.2.1', 60), a(NAME, '192.0.2.2', 90)])
    world.kernel = () => ({ refused: new Set(), done: held.promise })
    const answered = await world.ask(WEB, { id: 77 })
    expect(answered.messages).toEqual([])
    held.resolve()
    await turns()
    expect(answered.addresses).toEqual(['192.0.2.1', '192.0.2.2'])
    expect(decode(answered.messages[0] ?? Buffer.alloc(0)).id).toBe(77)
    expect(world.admitted).toEqual([
      { as: [NAME], addresses: ['192.0.2.1', '192.0.2.2'], ttlsMs: [60_000, 90_000] },
    ])
    expect(world.reports).toMatchObject([
      { outcome: 'answered', policy: 'web', name: NAME, waitedForKernel: true, asker: 'web' },
    ])
  })

  test('is answered at once when the kernel holds all', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
    expect(world.reports).toMatchObject([{ waitedForKernel: false }])
  })

  test('is admitted at the end of its aliases under the name that was asked', async () => {
    const world = new TestGateway()
    world.says([cname(NAME, 'cdn.example.net'), a('cdn.example.net', '192.0.2.1')])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
    expect(world.admitted).toMatchObject([{ as: [NAME], addresses: ['192.0.2.1'] }])
  })

  test('is asked for in lower case, and answered in the case in which it was asked', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    const { messages } = await world.ask(WEB, { name: 'A.Example.COM' })
    expect(world.asked).toMatchObject([{ name: wire(NAME) }])
    expect(decode(messages[0] ?? Buffer.alloc(0)).questions?.[0]?.name).toBe('A.Example.COM')
  })

  test('has the hints of its service admitted', async () => {
    const world = new TestGateway()
    const hint = Buffer.from([0, 1, 0, 0, 4, 0, 4, 192, 0, 2, 1])
    world.says([unknownRecord(NAME, 65, hint)], { type: 'UNKNOWN_65' })
    const held = deferred()
    world.kernel = () => ({ refused: new Set(), done: held.promise })
    const answered = await world.ask(WEB, { type: 'UNKNOWN_65' })
    expect(answered.messages).toEqual([])
    expect(world.admitted).toMatchObject([{ addresses: ['192.0.2.1'] }])
    held.resolve()
    await turns()
    expect(answered.rcode).toBe('NOERROR')
  })

  test('may be asked for from a mapped address', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    expect((await world.ask(`::ffff:${WEB}`)).addresses).toEqual(['192.0.2.1'])
  })
})

describe('a name that is not allowed', () => {
  test.each([
    ['refused', 'A', 'REFUSED', []],
    ['nxdomain', 'A', 'NXDOMAIN', []],
    ['zero', 'A', 'NOERROR', ['0.0.0.0']],
    ['zero', 'AAAA', 'NOERROR', ['::']],
    ['zero', 'TXT', 'NOERROR', []],
  ] as const)('is %s when asked for %s', async (denied, type, rcode, addresses) => {
    const world = new TestGateway(answering({ config: { denied } }))
    const answered = await world.ask(WEB, { name: 'evil.example.org', type })
    expect([answered.rcode, answered.addresses]).toEqual([rcode, addresses])
    expect([world.asked, world.admitted]).toEqual([[], []])
    expect(world.reports).toMatchObject([{ outcome: 'denied', name: 'evil.example.org', policy: 'web' }])
  })

  test.each(['', 'a b.example.com', 'example.com', 'x.a.example.com'])('is denied: %j', async (name) => {
    const world = new TestGateway()
    world.says([ADDRESS])
    expect((await world.ask(WEB, { name: name === '' ? '.' : name })).rcode).toBe('REFUSED')
    expect(world.asked).toEqual([])
  })

  test('does not become allowed by a dot in a label', async () => {
    const world = new TestGateway(answering({ names: namesOf({ web: ['*.example.com', '**.example.com'] }) }))
    const message = question({ name: 'xxx.example.com' })
    message[12] = 11
    message.write('xxx.exampl', 13, 'latin1')
    message.write('e\x03com\0', 23, 'latin1')
    expect(world.send(WEB, message).rcode).toBe('REFUSED')
  })

  test('is denied although somebody else has it in the cache', async () => {
    const world = new TestGateway()
    world.says([a('c.example.com', '192.0.2.1')], { name: 'c.example.com' })
    expect((await world.ask(SHOP, { name: 'c.example.com' })).addresses).toEqual(['192.0.2.1'])
    expect((await world.ask(WEB, { name: 'c.example.com' })).rcode).toBe('REFUSED')
  })
})

describe('nobody is answered', () => {
  test.each([STRANGER, '127.0.0.1', 'fe80::1%eth0', 'nonsense', ''])('at %j', async (from) => {
    const world = new TestGateway()
    world.says([ADDRESS])
    expect((await world.ask(from)).messages).toEqual([])
    expect(world.send(from, Buffer.alloc(40)).messages).toEqual([])
    expect([world.asked, world.reports]).toEqual([[], []])
  })

  test('who sends an answer', () => {
    const world = new TestGateway()
    expect(world.send(WEB, reply([ADDRESS])).messages).toEqual([])
    expect(world.outcomes).toEqual(['malformed'])
  })
})

test('what is no question is told so', () => {
  const world = new TestGateway()
  expect(world.send(WEB, question().subarray(0, 20)).rcode).toBe('FORMERR')
  expect(world.outcomes).toEqual(['malformed'])
})

test('ANY is not implemented', async () => {
  const world = new TestGateway()
  expect((await world.ask(WEB, { type: 'ANY' })).rcode).toBe('NOTIMP')
  expect(world.asked).toEqual([])
})

describe('an answer that the kernel does not hold', () => {
  test('in time is withheld, not earlier, and not sent later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const world = new TestGateway(answering({ config: { maxHoldMs: 500 } }))
    const held = deferred()
    world.says([ADDRESS])
    world.kernel = () => ({ refused: new Set(), done: held.promise })
    const answered = await world.ask(WEB)
    vi.advanceTimersByTime(499)
    await turns()
    expect(answered.messages).toEqual([])
    vi.advanceTimersByTime(1)
    await turns()
    expect([answered.rcode, answered.addresses]).toEqual(['SERVFAIL', []])
    held.resolve()
    await turns()
    expect(answered.messages).toHaveLength(1)
    expect(world.reports).toMatchObject([{ outcome: 'withheld', waitedForKernel: true }])
  })

  test('because of a fault of our own costs one answer and no more', async () => {
    const world = new TestGateway()
    const faults: unknown[] = []
    world.onFault = (error) => faults.push(error)
    world.says([ADDRESS])
    world.kernel = () => {
      throw new Error('a fault')
    }
    // Asked of the upstream, then out of the cache: in a later turn, and at once.
    for (const outcome of ['upstream', 'cache']) expect((await world.ask(WEB)).messages, outcome).toEqual([])
    expect(faults).toEqual([new Error('a fault'), new Error('a fault')])
    world.kernel = () => ({ refused: new Set(), done: undefined })
    expect((await world.ask(WEB)).addresses).toHaveLength(1)
  })

  test('because its name has no room is withheld, and that is what is told', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    world.kernel = (_, addresses, name) => {
      expect(name).toBe('web')
      return { refused: new Set(addresses.map(({ address }) => address)), isFull: true, done: undefined }
    }
    expect((await world.ask(WEB)).rcode).toBe('SERVFAIL')
    expect(world.outcomes).toEqual(['crowded'])
  })

  test('because it was refused is withheld at once', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    world.kernel = () => ({ refused: new Set(), done: Promise.reject(new Error('full')) })
    expect((await world.ask(WEB)).rcode).toBe('SERVFAIL')
    expect(world.outcomes).toEqual(['withheld'])
  })

  test('is there for who asks again', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    world.kernel = () => ({ refused: new Set(), done: Promise.reject(new Error('full')) })
    await world.ask(WEB)
    world.kernel = refusing()
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
    expect(world.outcomes).toEqual(['withheld', 'cached'])
  })

  test('leaves no timer behind when it came', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const world = new TestGateway()
    world.says([ADDRESS])
    world.kernel = () => ({ refused: new Set(), done: Promise.resolve() })
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('an answer of very many addresses', () => {
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => a(NAME, `192.0.${at >> 8}.${at & 255}`, 60))

  test('is cut to its first 256', async () => {
    const world = new TestGateway()
    world.says(many(4000))
    const answered = world.send(WEB, question(), false)
    await turns()
    expect(answered.addresses).toEqual(many(256).map((one) => (one as { data?: unknown }).data))
    expect(world.admitted).toMatchObject([{ addresses: { length: 256 } }])
  })

  test('is booked as far as a datagram tells of it', async () => {
    const world = new TestGateway()
    world.says(many(100))
    const held = deferred()
    world.kernel = () => ({ refused: new Set(['192.0.0.1' as never]), done: held.promise })
    const answered = await world.ask(WEB, { edns: 1232 })
    expect(answered.messages).toEqual([])
    held.resolve()
    await turns()
    expect((answered.messages[0]?.[2] ?? 0) & 2).toBe(2)
    // It is told of as many as fit, which the kernel holds then, but for one that was refused.
    const [booked] = world.admitted
    expect(booked?.addresses).toHaveLength(74)
    expect(answered.addresses).toEqual(booked?.addresses.filter((address) => address !== '192.0.0.1'))
    world.admitted.length = 0
    world.kernel = refusing()
    world.says(
      many(30).map((one) => ({ ...one, name: 'b.example.com' })),
      { name: 'b.example.com' },
    )
    expect((await world.ask(WEB, { name: 'b.example.com', edns: 1232 })).addresses).toHaveLength(30)
    expect(world.admitted).toMatchObject([{ addresses: { length: 30 } }])
  })
})

describe('refused addresses', () => {
  test('are left out', async () => {
    const world = new TestGateway()
    world.says([a(NAME, '169.254.169.254'), ADDRESS])
    world.kernel = refusing('169.254.169.254')
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
  })

  test('leave nothing of an answer of theirs', async () => {
    const world = new TestGateway()
    world.says([a(NAME, '169.254.169.254')])
    world.kernel = refusing('169.254.169.254')
    const answered = await world.ask(WEB)
    expect([answered.rcode, answered.addresses]).toEqual(['NOERROR', []])
  })

  test('are refused to this one container only', async () => {
    const world = new TestGateway()
    world.says([a(NAME, '10.0.0.1')])
    world.kernel = (as) => ({
      refused: new Set(as.includes(NAME as never) ? ['10.0.0.1' as never] : []),
      done: undefined,
    })
    expect((await world.ask(WEB)).addresses).toEqual([])
    expect((await world.ask(SHOP)).addresses).toEqual(['10.0.0.1'])
  })

  test('take the hints of a service with them', async () => {
    const world = new TestGateway()
    const hints = Buffer.from([0, 1, 0, 0, 4, 0, 8, 192, 0, 2, 1, 169, 254, 169, 254])
    world.says([unknownRecord(NAME, 65, hints)], { type: 'UNKNOWN_65' })
    world.kernel = refusing('169.254.169.254')
    const { messages } = await world.ask(WEB, { type: 'UNKNOWN_65' })
    expect(decode(messages[0] ?? Buffer.alloc(0)).answers).toEqual([])
  })
})

describe('the cache', () => {
  test('answers until the time of an answer is over, with what is left of it', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    await world.ask(WEB)
    world.nowMs += 59_999
    const answered = await world.ask(WEB)
    expect([answered.addresses, answered.ttls]).toEqual([['192.0.2.1'], [1]])
    world.nowMs += 1
    expect((await world.ask(WEB)).ttls).toEqual([60])
    expect(world.asked).toHaveLength(2)
    expect(world.outcomes).toEqual(['answered', 'cached', 'answered'])
  })

  test('has what it holds admitted for each who asks, under what each may', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
    const held = deferred()
    world.kernel = () => ({ refused: new Set(), done: held.promise })
    const answered = await world.ask(SHOP)
    expect(answered.messages).toEqual([])
    held.resolve()
    await turns()
    expect(answered.addresses).toEqual(['192.0.2.1'])
    expect(world.asked).toHaveLength(1)
    expect(world.admitted.map(({ as }) => as)).toEqual([[NAME], ['*.example.com']])
  })

  test('keeps what is checked, signed and neither apart', async () => {
    const world = new TestGateway(answering({ askers: { [WEB]: asker('web', ['web'], true) } }))
    world.says([ADDRESS])
    for (const dnssecOk of [false, true])
      for (const checkingDisabled of [false, true]) await world.ask(WEB, { dnssecOk, checkingDisabled })
    await world.ask(WEB, { type: 'AAAA' })
    expect(world.asked.map(({ dnssecOk, checkingDisabled }) => `${dnssecOk} ${checkingDisabled}`)).toEqual([
      'false false',
      'false true',
      'true false',
      'true true',
      'false false',
    ])
    expect(world.outcomes).not.toContain('cached')
  })

  test.each([
    [{ minTtlMs: 120_000 }, 120],
    [{ maxTtlMs: 30_000 }, 30],
  ])('keeps to the limits of %j', async (config, ttl) => {
    const world = new TestGateway(answering({ config }))
    world.says([ADDRESS])
    expect((await world.ask(WEB)).ttls).toEqual([ttl])
    world.nowMs += ttl * 1000 - 1
    await world.ask(WEB)
    expect(world.asked).toHaveLength(1)
    world.nowMs += 1
    await world.ask(WEB)
    expect(world.asked).toHaveLength(2)
  })

  test('is not asked for what was said in the future', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    await world.ask(WEB)
    world.nowMs -= 3_600_000
    expect((await world.ask(WEB)).ttls).toEqual([60])
    expect(world.asked).toHaveLength(2)
  })
})

describe('an absence', () => {
  test.each([
    ['as long as its SOA says', [soa('example.com', 100)], 100],
    ['five minutes at most', [soa('example.com', 3600, 7200)], 300],
    ['five seconds when nothing is said', [], 5],
  ])('is known %s', async (_, authorities, seconds) => {
    const world = new TestGateway()
    world.says([], { rcode: 3, authorities })
    expect((await world.ask(WEB)).rcode).toBe('NXDOMAIN')
    world.nowMs += seconds * 1000 - 1
    expect((await world.ask(WEB)).rcode).toBe('NXDOMAIN')
    expect(world.asked).toHaveLength(1)
    world.nowMs += 1
    await world.ask(WEB)
    expect(world.asked).toHaveLength(2)
    expect(world.admitted).toEqual([])
  })

  test('of one type is none of another', async () => {
    const world = new TestGateway()
    world.says([], { type: 'AAAA', authorities: [soa('example.com')] })
    expect((await world.ask(WEB, { type: 'AAAA' })).rcode).toBe('NOERROR')
    world.says([ADDRESS])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
  })
})

test('a family that is withdrawn is empty for who asks, also when no upstream answers any more', async () => {
  const world = new TestGateway()
  world.says([ADDRESS])
  await world.ask(WEB)
  world.nowMs += 60_000
  world.says([])
  expect((await world.ask(WEB)).addresses).toEqual([])
  world.nowMs += 5_000
  world.upstream = () => Promise.reject(new Error('silence'))
  const answered = await world.ask(WEB)
  expect([answered.rcode, answered.addresses]).toEqual(['NOERROR', []])
  expect(world.outcomes).toEqual(['answered', 'answered', 'stale'])
  expect(world.admitted).toHaveLength(1)
})

describe('an upstream that fails', () => {
  const failures = {
    'is silent': () => Promise.reject(new Error('silence')),
    'says SERVFAIL': () => reply([], { rcode: 2 }),
    'says REFUSED': () => reply([], { rcode: 5 }),
    'sends garbage': () => reply([ADDRESS]).subarray(0, 40),
    'sends a loop': () => reply([cname(NAME, 'b.example.com'), cname('b.example.com', NAME)]),
  }

  test.each(Object.keys(failures) as (keyof typeof failures)[])(
    'and %s is made up for by an old answer, for a day',
    async (how) => {
      const world = new TestGateway()
      world.says([ADDRESS])
      await world.ask(WEB)
      world.upstream = failures[how]
      world.nowMs += 60_000
      const stale = await world.ask(WEB)
      expect([stale.addresses, stale.ttls]).toEqual([['192.0.2.1'], [30]])
      expect(world.outcomes.at(-1)).toBe('stale')
      expect(world.admitted).toHaveLength(2)
      world.nowMs += DAY_MS - 1
      expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
      world.nowMs += 1
      expect((await world.ask(WEB)).addresses).toEqual([])
      expect(world.outcomes.at(-1)).not.toBe('stale')
    },
  )

  test.each([
    ['is silent', 'SERVFAIL', 'failed'],
    ['says SERVFAIL', 'SERVFAIL', 'failed'],
    ['says REFUSED', 'REFUSED', 'answered'],
    ['sends garbage', 'SERVFAIL', 'failed'],
  ] as const)('and %s is %s', async (how, rcode, outcome) => {
    const world = new TestGateway()
    world.upstream = failures[how]
    expect((await world.ask(WEB)).rcode).toBe(rcode)
    expect(world.outcomes).toEqual([outcome])
    world.says([ADDRESS])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
  })

  test('has an old answer held back by the kernel like any other', async () => {
    const world = new TestGateway()
    world.says([ADDRESS])
    await world.ask(WEB)
    world.upstream = failures['is silent']
    world.kernel = () => ({ refused: new Set(), done: Promise.reject(new Error('full')) })
    world.nowMs += 60_000
    expect((await world.ask(WEB)).rcode).toBe('SERVFAIL')
  })
})

describe('the same question of many', () => {
  test('is asked once', async () => {
    const world = new TestGateway()
    const said = deferred<Buffer>()
    world.upstream = () => said.promise
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, id) => world.ask(id % 2 === 0 ? WEB : SHOP, { id })),
    )
    expect(world.asked).toHaveLength(1)
    said.resolve(reply([ADDRESS]))
    await turns()
    expect(answers.map(({ addresses }) => addresses.join())).toEqual(Array(100).fill('192.0.2.1'))
    expect(answers.map(({ messages }) => messages[0]?.readUInt16BE(0))).toEqual([...Array(100).keys()])
    expect(world.admitted).toHaveLength(100)
  })

  test('fails for all, and is asked again then', async () => {
    const world = new TestGateway()
    const said = deferred<Buffer>()
    world.upstream = () => said.promise
    const answers = [await world.ask(WEB), await world.ask(SHOP)]
    said.reject(new Error('silence'))
    await turns()
    expect(answers.map(({ rcode }) => rcode)).toEqual(['SERVFAIL', 'SERVFAIL'])
    world.says([ADDRESS])
    expect((await world.ask(WEB)).addresses).toEqual(['192.0.2.1'])
  })
})

describe('a name to which an answer led', () => {
  const TARGET = 'host.example.net'
  const LEADS = {
    SRV: { type: 'SRV', name: NAME, ttl: 60, data: { port: 1, priority: 1, weight: 1, target: TARGET } },
    MX: { type: 'MX', name: NAME, ttl: 60, data: { preference: 1, exchange: TARGET } },
    UNKNOWN_64: unknownRecord(NAME, 64, Buffer.from(`\0\x01${wire(TARGET)}`, 'latin1'), 60),
    UNKNOWN_65: unknownRecord(NAME, 65, Buffer.from(`\0\x01${wire(TARGET)}`, 'latin1'), 60),
  } as const

  async function led(type: keyof typeof LEADS = 'SRV') {
    const world = new TestGateway()
    world.says([LEADS[type]], { type })
    expect((await world.ask(WEB, { type })).rcode).toBe('NOERROR')
    world.says([a(TARGET, '192.0.2.7')], { name: TARGET })
    const askTarget = (from = WEB) => world.ask(from, { name: TARGET })
    return { world, askTarget }
  }

  test.each(Object.keys(LEADS) as (keyof typeof LEADS)[])(
    'by %s may be asked for by who asked',
    async (type) => {
      const { world, askTarget } = await led(type)
      expect((await askTarget(SHOP)).rcode).toBe('REFUSED')
      expect((await askTarget()).addresses).toEqual(['192.0.2.7'])
      expect(world.admitted).toMatchObject([{ as: [NAME], addresses: ['192.0.2.7'] }])
      expect((await askTarget(SHOP)).rcode).toBe('REFUSED')
    },
  )

  test('may be asked for as long as that answer holds', async () => {
    const { world, askTarget } = await led()
    world.nowMs += 59_999
    expect((await askTarget()).addresses).toEqual(['192.0.2.7'])
    world.nowMs += 1
    expect((await askTarget()).rcode).toBe('REFUSED')
  })

  test('is known to each who gets that answer from the cache', async () => {
    const { world, askTarget } = await led()
    world.nowMs += 30_000
    await world.ask(SHOP, { type: 'SRV' })
    expect((await askTarget(SHOP)).addresses).toEqual(['192.0.2.7'])
    world.nowMs += 30_000
    expect((await askTarget(SHOP)).rcode).toBe('REFUSED')
  })

  test('is none by an alias, nor beside the question', async () => {
    const world = new TestGateway()
    world.says([cname(NAME, 'b.example.net'), a('b.example.net', '192.0.2.1')])
    await world.ask(WEB)
    expect((await world.ask(WEB, { name: 'b.example.net' })).rcode).toBe('REFUSED')
    world.says([LEADS.MX], { type: 'TXT' })
    await world.ask(WEB, { type: 'TXT' })
    expect((await world.ask(WEB, { name: TARGET })).rcode).toBe('REFUSED')
  })

  test('is forgotten with a change of policy', async () => {
    const { world, askTarget } = await led()
    world.gateway.setPolicy(answering({ names: namesOf({ web: [NAME] }) }))
    expect((await askTarget()).rcode).toBe('REFUSED')
  })

  test('stays known when somebody else comes or goes', async () => {
    const { world, askTarget } = await led()
    world.gateway.setPolicy(answering())
    expect((await askTarget()).addresses).toEqual(['192.0.2.7'])
  })

  test('is not known to the next container at that address, which has other rights', async () => {
    const { world, askTarget } = await led()
    world.gateway.setPolicy(answering({ askers: { [WEB]: asker('next', ['shop']) } }))
    expect((await askTarget()).rcode).toBe('REFUSED')
  })

  test('under rights of before is not learned when the answer comes after the change', async () => {
    const world = new TestGateway()
    const said = deferred<Buffer>()
    world.upstream = () => said.promise
    await world.ask(WEB, { type: 'SRV' })
    world.gateway.setPolicy(answering({ names: namesOf({ web: ['other.example.com'] }) }))
    said.resolve(reply([LEADS.SRV], { type: 'SRV' }))
    await turns()
    expect((await world.ask(WEB, { name: TARGET })).rcode).toBe('REFUSED')
  })
})

describe('who may reach any host', () => {
  const open = () => new TestGateway(answering({ askers: { [WEB]: asker('web', ['web'], true) } }))

  test('may ask for any name, which nothing is booked under', async () => {
    const world = open()
    world.says([a('x.example.org', '192.0.2.1')], { name: 'x.example.org' })
    expect((await world.ask(WEB, { name: 'x.example.org' })).addresses).toEqual(['192.0.2.1'])
    expect(world.admitted).toMatchObject([{ as: [], addresses: ['192.0.2.1'] }])
  })

  test('has listed names booked all the same', async () => {
    const world = open()
    world.says([ADDRESS])
    await world.ask(WEB)
    expect(world.admitted).toMatchObject([{ as: [NAME] }])
  })

  test.each(['.', 'a b.example.com'])('may not ask for %j', async (name) => {
    expect((await open().ask(WEB, { name })).rcode).toBe('REFUSED')
  })
})

describe('too many questions', () => {
  const limited = { ratePerContainer: { count: 2, per: 'second' } } as const

  test('of one container are not answered, and of another are', async () => {
    const world = new TestGateway(answering({ config: limited }))
    world.says([ADDRESS])
    const answers: number[] = []
    for (let index = 0; index < 15; index++) answers.push((await world.ask(WEB)).messages.length)
    expect(answers.slice(0, 10)).toEqual(Array(10).fill(1))
    expect(answers.at(-1)).toBe(0)
    expect((await world.ask(SHOP)).messages).toHaveLength(1)
    expect(world.outcomes.filter((outcome) => outcome === 'limited').length).toBeGreaterThanOrEqual(4)
  })

  test('are counted whatever they are', () => {
    const world = new TestGateway(answering({ config: limited }))
    for (let index = 0; index < 50; index++) world.send(WEB, Buffer.alloc(5))
    expect(world.send(WEB, question()).messages).toEqual([])
  })
})

test('another way to deny holds from the next question on', async () => {
  const world = new TestGateway()
  world.gateway.setPolicy(answering({ config: { denied: 'nxdomain' }, names: NAMES }))
  expect((await world.ask(WEB, { name: 'evil.example.org' })).rcode).toBe('NXDOMAIN')
})

test('an answer that is too large for a datagram is whole over TCP, and admitted for who has it', async () => {
  const world = new TestGateway()
  world.says(
    Array.from({ length: 60 }, (_, at) => aaaa(NAME, `2001:db8::${at.toString(16)}`)),
    { type: 'AAAA' },
  )
  const byUdp = world.send(WEB, question({ type: 'AAAA' }))
  await turns()
  expect(decode(byUdp.messages[0] ?? Buffer.alloc(0))).toMatchObject({ flag_tc: true })
  expect(byUdp.addresses).toHaveLength(17)
  const byTcp = world.send(WEB, question({ type: 'AAAA' }), false)
  expect(byTcp.addresses).toHaveLength(60)
  expect(world.admitted).toMatchObject([{ addresses: byUdp.addresses }, { addresses: byTcp.addresses }])
})
