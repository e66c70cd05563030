import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Hostname } from '../../../src/net/types.ts'
import { Resolver } from '../../../src/resolve/resolver.ts'
import {
  a,
  aaaa,
  answer,
  cname,
  DnsServer,
  rcode,
  response,
  silence,
  zone,
  type Script,
} from '../../support/dns-server.ts'
import { certificateFor } from '../../support/certificate.ts'
import { needsTool } from '../../support/needs-tool.ts'
import { RawDnsServer } from '../../support/raw-dns-server.ts'

const name = 'api.example.com' as Hostname
const opened: { stop(): Promise<void> }[] = []

async function server(script: Script): Promise<DnsServer> {
  const started = await DnsServer.start(script)
  opened.push(started)
  return started
}

function resolverOf(servers: readonly DnsServer[], timeoutMs = 400): Resolver {
  return new Resolver({ servers: servers.map(({ place }) => place), timeoutMs })
}

const ask = async (script: Script, timeoutMs = 400) =>
  resolverOf([await server(script)], timeoutMs).lookup(name, 4)

afterEach(async () => {
  vi.restoreAllMocks()
  await Promise.all(opened.splice(0).map((one) => one.stop()))
})

const good = answer(a(name, '198.51.100.7', 60))

describe('an answer', () => {
  test('brings every address of the family with its TTL', async () => {
    const resolver = resolverOf([
      await server(zone({ [name]: ['198.51.100.7', '198.51.100.8', '2001:db8::0:7'] }, 90)),
    ])
    expect(await resolver.lookup(name, 4)).toEqual({
      kind: 'addresses',
      records: [
        { address: '198.51.100.7', ttlMs: 90_000 },
        { address: '198.51.100.8', ttlMs: 90_000 },
      ],
    })
    expect(await resolver.lookup(name, 6)).toEqual({
      kind: 'addresses',
      records: [{ address: '2001:db8::7', ttlMs: 90_000 }],
    })
  })

  test('follows the chain of aliases, whatever their order, and lasts as long as its shortest link', async () => {
    const lookup = await ask(() =>
      answer(
        a('c.example.net', '198.51.100.9', 300),
        cname('B.example.net', 'c.example.net', 20),
        cname(name, 'b.example.net', 60),
      ),
    )
    expect(lookup).toEqual({ kind: 'addresses', records: [{ address: '198.51.100.9', ttlMs: 20_000 }] })
  })

  test('ignores addresses of owners that the chain does not lead to', async () => {
    const lookup = await ask(() => answer(a('evil.example.org', '203.0.113.66'), a(name, '198.51.100.7')))
    expect(lookup).toEqual({ kind: 'addresses', records: [{ address: '198.51.100.7', ttlMs: 60_000 }] })
  })

  test('with nothing but an unrelated owner, with aliases only, or without a record is empty', async () => {
    expect(await ask(() => answer(a('evil.example.org', '203.0.113.66')))).toEqual({ kind: 'empty' })
    expect(await ask(() => answer(cname(name, 'b.example.net')))).toEqual({ kind: 'empty' })
    expect(await ask(() => answer())).toEqual({ kind: 'empty' })
  })

  test('with the wrong family is empty', async () => {
    expect(await ask(() => answer(aaaa(name, '2001:db8::1')))).toEqual({ kind: 'empty' })
  })

  test('with a loop of aliases is malformed', async () => {
    const lookup = await ask(() => answer(cname(name, 'b.example.net'), cname('b.example.net', name)))
    expect(lookup.kind).toBe('malformed')
  })

  test('whose TTL has the highest bit set lasts 0 seconds', async () => {
    const lookup = await ask((_, query) => {
      const bytes = response(query, { kind: 'answer', answers: [a(name, '198.51.100.7', 0x7fffffff)] })
      bytes.writeUInt8(0x80, bytes.length - 10)
      return { kind: 'raw', messages: [bytes] }
    })
    expect(lookup).toEqual({ kind: 'addresses', records: [{ address: '198.51.100.7', ttlMs: 0 }] })
  })

  test('that is cut off is asked for again over TCP, whole: 1,500 addresses', async () => {
    const all = Array.from({ length: 1500 }, (_, i) => `198.18.${i >> 8}.${i & 255}`)
    const dns = await server(({ transport }) =>
      transport === 'udp'
        ? { kind: 'answer', answers: [], truncated: true }
        : answer(...all.map((address) => a(name, address))),
    )
    const lookup = await resolverOf([dns], 2000).lookup(name, 4)
    expect(lookup.kind === 'addresses' && lookup.records.map(({ address }) => address)).toEqual(all)
    expect(dns.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
  })

  test('that is cut off and cannot be had over TCP is no news', async () => {
    const lookup = await ask(({ transport }) =>
      transport === 'udp' ? { kind: 'answer', answers: [], truncated: true } : { kind: 'close' },
    )
    expect(lookup.kind).toBe('error')
  })
})

describe('a failure', () => {
  test.each([
    ['NXDOMAIN', 'nxdomain'],
    ['SERVFAIL', 'servfail'],
    ['REFUSED', 'refused'],
  ] as const)('%s is told apart', async (code, kind) => {
    expect((await ask(() => rcode(code))).kind).toBe(kind)
  })

  test('silence is a time-out, after a second datagram to a lone server', async () => {
    const dns = await server(() => silence)
    expect((await resolverOf([dns], 150).lookup(name, 4)).kind).toBe('timeout')
    expect(dns.asked).toHaveLength(2)
  })

  test('one lost datagram does not matter', async () => {
    let count = 0
    expect((await ask(() => (count++ === 0 ? silence : good))).kind).toBe('addresses')
  })

  test('nobody listening is an error', async () => {
    const dns = await DnsServer.start(() => good)
    await dns.stop()
    expect((await resolverOf([dns]).lookup(name, 4)).kind).toBe('error')
  })

  test('a server that the kernel sends nothing to is an error', async () => {
    const resolver = new Resolver({
      servers: [{ kind: 'plain', host: '255.255.255.255', port: 53 }],
      timeoutMs: 400,
    })
    expect(await resolver.lookup(name, 4)).toMatchObject({ kind: 'error' })
  })

  test('a name without a wire form is an error', async () => {
    const resolver = resolverOf([await server(() => good)])
    expect((await resolver.lookup(`${'x'.repeat(64)}.example` as Hostname, 4)).kind).toBe('error')
  })

  test('a look-up that is called off ends at once, and so does closing', async () => {
    const dns = await server(() => silence)
    const resolver = resolverOf([dns], 60_000)
    expect((await resolver.lookup(name, 4, AbortSignal.timeout(20))).kind).toBe('error')
    expect((await resolver.lookup(name, 4, AbortSignal.abort())).kind).toBe('error')
    const pending = resolver.lookup(name, 4)
    resolver.close()
    expect((await pending).kind).toBe('error')
  })
})

describe('forged and broken messages', () => {
  test('another id, another question, a query, or bytes before the real answer are passed over', async () => {
    const lookup = await ask((_, query) => {
      const lie = { kind: 'answer', answers: [a(name, '203.0.113.66')] } as const
      const questions = [{ type: 'A', name: 'other.example.com' } as const]
      return {
        kind: 'raw',
        messages: [
          response(query, lie, { id: ((query.id ?? 0) + 1) & 0xffff }),
          response(query, lie, { questions }),
          response(query, lie, { type: 'query' }),
          response(query, lie, { questions: [] }),
          Buffer.from('nonsense'),
          Buffer.alloc(0),
          response(query, { kind: 'answer', answers: [a(name, '198.51.100.7')] }),
        ],
      }
    })
    expect(lookup).toEqual({ kind: 'addresses', records: [{ address: '198.51.100.7', ttlMs: 60_000 }] })
  })

  test('an answer from another port than the asked one is not taken', async () => {
    const lookup = await ask(() => ({ kind: 'elsewhere', answers: [a(name, '203.0.113.66')] }), 150)
    expect(lookup.kind).toBe('timeout')
  })

  test('a label with a dot inside is not two labels', async () => {
    const lookup = await ask((_, query) => {
      const bytes = response(query, { kind: 'answer', answers: [a('apiXexample.com', '203.0.113.66')] })
      bytes[bytes.indexOf('iXe') + 1] = '.'.charCodeAt(0)
      return { kind: 'raw', messages: [bytes] }
    })
    expect(lookup).toEqual({ kind: 'empty' })
  })

  test('an answer that ends too early is malformed', async () => {
    const lookup = await ask((_, query) => ({
      kind: 'raw',
      messages: [response(query, { kind: 'answer', answers: [a(name, '198.51.100.7')] }).subarray(0, -2)],
    }))
    expect(lookup.kind).toBe('malformed')
  })

  test('nothing but rubbish is malformed in the end', async () => {
    expect((await ask(() => ({ kind: 'raw', messages: [Buffer.from('nonsense')] }), 100)).kind).toBe(
      'malformed',
    )
  })
})

describe('several servers', () => {
  test('after an answer that cannot be read the next one is asked, and it is malformed where all are', async () => {
    const broken = await server(() => answer(cname(name, 'b.example.net'), cname('b.example.net', name)))
    const second = await server(() => good)
    expect((await resolverOf([broken, second]).lookup(name, 4)).kind).toBe('addresses')
    expect((await resolverOf([broken, broken]).lookup(name, 4)).kind).toBe('malformed')
    second.script = () => rcode('SERVFAIL')
    expect((await resolverOf([broken, second]).lookup(name, 4)).kind).toBe('malformed')
  })

  test.each([['SERVFAIL'], ['REFUSED']] as const)('after %s the next one is asked', async (code) => {
    const first = await server(() => rcode(code))
    const second = await server(() => good)
    expect((await resolverOf([first, second]).lookup(name, 4)).kind).toBe('addresses')
  })

  test('NXDOMAIN is the last word', async () => {
    const second = await server(() => good)
    const resolver = resolverOf([await server(() => rcode('NXDOMAIN')), second])
    expect((await resolver.lookup(name, 4)).kind).toBe('nxdomain')
    expect(second.asked).toHaveLength(0)
  })

  test('a silent one stands behind for half a minute, is then tried beside another, and leads again when it answers', async () => {
    let nowMs = 1000
    const first = await server(() => silence)
    const second = await server(() => good)
    const resolver = new Resolver({
      servers: [first.place, second.place],
      timeoutMs: 300,
      nowMs: () => nowMs,
    })
    const lookup = resolver.lookup(name, 4)
    await expect.poll(() => first.asked.length).toBe(1)
    nowMs += 100
    expect((await lookup).kind).toBe('addresses')
    await resolver.lookup(name, 4)
    expect([first.asked.length, second.asked.length]).toEqual([1, 2])
    nowMs += 31_000
    first.script = () => good
    await resolver.lookup(name, 4)
    await expect.poll(() => first.asked.length).toBe(2)
    await expect
      .poll(async () => {
        await resolver.lookup(name, 4)
        return first.asked.length
      })
      .toBeGreaterThan(2)
    const { length } = second.asked
    await resolver.lookup(name, 4)
    expect(second.asked.length).toBe(length)
  })

  test('new servers count from the next look-up on', async () => {
    const resolver = resolverOf([await server(() => rcode('NXDOMAIN'))])
    resolver.setServers([(await server(() => good)).place])
    expect((await resolver.lookup(name, 4)).kind).toBe('addresses')
  })
})

test('a server over TLS is asked where its certificate bears the name', async (context) => {
  needsTool('openssl')(context)
  const { key, cert } = await certificateFor('DNS:dns.example')
  const secure = await RawDnsServer.start(
    ({ query, send }) => {
      const bytes = Buffer.from(query)
      bytes.writeUInt16BE(0x8183, 2)
      send(bytes)
    },
    { tls: { key, cert } },
  )
  opened.push(secure)
  const of = (certified: string): Resolver =>
    new Resolver({
      servers: [{ kind: 'tls', host: '127.0.0.1', port: secure.port, name: certified }],
      timeoutMs: 1000,
      ca: cert,
    })
  expect((await of('dns.example').lookup(name, 4)).kind).toBe('nxdomain')
  expect(await of('other.example').lookup(name, 4)).toMatchObject({
    kind: 'error',
    detail: expect.stringContaining('other.example'),
  })
  expect(secure.asked).toHaveLength(1)
})

test('names are asked for in letters of random case, and an answer in other letters by UDP is not taken', async () => {
  const asked: string[] = []
  const server = await RawDnsServer.start(({ transport, query, send }) => {
    asked.push(`${transport} ${query.toString('latin1', 12, 29)}`)
    const answer = Buffer.from(query)
    answer.writeUInt16BE(transport === 'udp' ? 0x8183 : 0x8182, 2)
    // Every letter in the other case: what a forger that guesses is sure to miss.
    if (transport === 'udp')
      for (let at = 13; at < 28; at++)
        answer[at]! ^= /[a-z]/i.test(String.fromCharCode(answer[at]!)) ? 0x20 : 0
    send(answer)
  })
  opened.push(server)
  const resolver = new Resolver({
    servers: [{ kind: 'plain', host: '127.0.0.1', port: server.port }],
    timeoutMs: 400,
  })
  expect((await resolver.lookup(name, 4)).kind).toBe('servfail')
  expect(asked.map((one) => one.split(' ')[0])).toEqual(['udp', 'stream'])
  await resolver.lookup(name, 4)
  expect(new Set(asked.map((one) => one.split(' ')[1])).size).toBeGreaterThan(2)
})

test('nothing runs between look-ups: a process that asks now and then is idle', async () => {
  const ticks = vi.spyOn(globalThis, 'setInterval')
  const stopped = vi.spyOn(globalThis, 'clearInterval')
  const resolver = resolverOf([await server(() => good)])
  await resolver.lookup(name, 4)
  expect(ticks).toHaveBeenCalledTimes(1)
  await vi.waitFor(() => expect(stopped).toHaveBeenCalledWith(ticks.mock.results[0]?.value))
})

test('a server that refuses extended DNS gets plain questions from then on', async () => {
  const dns = await server(({ edns }) => (edns ? rcode('FORMERR') : good))
  const resolver = resolverOf([dns])
  await resolver.lookup(name, 4)
  expect((await resolver.lookup(name, 4)).kind).toBe('addresses')
  expect(dns.asked.map(({ edns }) => edns)).toEqual([true, false, false])
})

test('ids and ports differ from question to question', async () => {
  const dns = await server(() => good)
  const resolver = resolverOf([dns])
  for (let i = 0; i < 20; i++) await resolver.lookup(name, 4)
  expect(new Set(dns.asked.map(({ id }) => id)).size).toBeGreaterThan(15)
  expect(new Set(dns.asked.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(15)
})

test('two hundred names at a time all come back, though only eight may be on the way', async () => {
  const dns = await server(({ name: asked }) => answer(a(asked, '198.51.100.7')))
  const resolver = new Resolver({ servers: [dns.place], timeoutMs: 2000, concurrency: 8 })
  const names = Array.from({ length: 200 }, (_, i) => `n${i}.example.com` as Hostname)
  const lookups = await Promise.all(names.map((one) => resolver.lookup(one, 4)))
  expect(lookups.every(({ kind }) => kind === 'addresses')).toBe(true)
})
