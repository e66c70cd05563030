import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { decode, encode, type DecodedPacket } from 'dns-packet'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { UpstreamServer } from '../../../src/config/model.ts'
import { Upstreams } from '../../../src/gateway/upstreams.ts'
import { Frames } from '../../../src/resolve/frames.ts'
import {
  a,
  answer,
  DnsServer,
  rcode,
  response,
  silence,
  zone,
  type Script,
} from '../../support/dns-server.ts'
import { uint16, wire } from './messages.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const end of ends.splice(0).toReversed()) await end()
})

const good: Script = zone({ 'a.example.com': ['192.0.2.1'] })

async function serving(script: Script): Promise<DnsServer> {
  const server = await DnsServer.start(script)
  ends.push(() => server.stop())
  return server
}
const plain = ({ port }: { readonly port: number }): UpstreamServer => ({
  kind: 'plain',
  host: '127.0.0.1',
  port,
})

function asking(
  servers: readonly UpstreamServer[],
  { timeoutMs = 2000, ca }: { timeoutMs?: number; ca?: string } = {},
) {
  const upstreams = new Upstreams({ servers, timeoutMs, ...(ca === undefined ? {} : { ca }) })
  ends.push(() => upstreams.close())
  return upstreams
}

const QUESTION = { name: wire('a.example.com'), type: 1, dnssecOk: false, checkingDisabled: false }
const ask = (upstreams: Upstreams, question: Partial<typeof QUESTION> = {}) =>
  upstreams.ask({ ...QUESTION, ...question })
type Told = DecodedPacket & { readonly rcode: string }
const told = async (answering: Promise<Buffer>) => decode(await answering) as Told
const addressesOf = ({ answers = [] }: DecodedPacket) =>
  answers.flatMap((record) => (record.type === 'A' ? [record.data] : []))
const addressOf = async (answering: Promise<Buffer>) => addressesOf(decode(await answering))[0]
const turn = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms))

describe('a question', () => {
  test('is answered by UDP', async () => {
    const server = await serving(good)
    expect(await addressOf(ask(asking([plain(server)])))).toBe('192.0.2.1')
    expect(server.asked).toMatchObject([{ name: 'a.example.com', type: 'A', transport: 'udp', edns: true }])
  })

  test('bears the flags of who asks', async () => {
    const flags: unknown[] = []
    const server = await serving((_, query) => {
      const { flag_cd, flag_rd, additionals } = decode(encode(query))
      const [opt] = additionals ?? []
      flags.push([flag_rd, flag_cd, opt?.type === 'OPT' && opt.flag_do])
      return answer()
    })
    const upstreams = asking([plain(server)])
    await ask(upstreams)
    await ask(upstreams, { dnssecOk: true })
    await ask(upstreams, { checkingDisabled: true })
    expect(flags).toEqual([
      [true, false, false],
      [true, false, true],
      [true, true, false],
    ])
  })

  test('is one of many at a time, each with its own answer', async () => {
    const address = (name: string) => `192.0.2.${name.slice(1, name.indexOf('.'))}`
    const server = await serving(({ name }) => ({
      kind: 'answer',
      answers: [a(name, address(name))],
      delayMs: Math.random() * 20,
    }))
    const upstreams = asking([plain(server)])
    const names = Array.from({ length: 250 }, (_, at) => `n${at}.example.com`)
    const answers = await Promise.all(names.map((name) => addressOf(ask(upstreams, { name: wire(name) }))))
    expect(answers).toEqual(names.map(address))
    expect(new Set(server.asked.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(3)
  })

  test('leaves by other ports after a while', async () => {
    const server = await serving(good)
    const upstreams = asking([plain(server)])
    for (let round = 0; round < 25; round++)
      await Promise.all(Array.from({ length: 120 }, () => ask(upstreams)))
    expect(new Set(server.asked.map(({ fromPort }) => fromPort)).size).toBeGreaterThan(8)
  })

  test('has letters of either case at random', async () => {
    const names = new Set<string>()
    const server = await serving((_, query) => {
      names.add(query.questions?.[0]?.name ?? '')
      return answer()
    })
    const upstreams = asking([plain(server)])
    for (let index = 0; index < 20; index++) await ask(upstreams)
    expect(names.size).toBeGreaterThan(10)
  })

  test('nobody can be asked is refused', async () => {
    await expect(ask(asking([]))).rejects.toThrow('no upstream answered in time')
  })
})

describe('an answer is passed over', () => {
  const forged = a('a.example.com', '192.0.2.66')
  const real = a('a.example.com', '192.0.2.1')
  const bothOf =
    (forge: (query: Parameters<Script>[1]) => Buffer[]): Script =>
    (_, query) => ({
      kind: 'raw',
      messages: [...forge(query), response(query, { kind: 'answer', answers: [real] })],
    })
  const with66 = { kind: 'answer', answers: [forged] } as const

  test.each<[string, (query: Parameters<Script>[1]) => Buffer[]]>([
    ['of another id', (query) => [response(query, with66, { id: ((query.id ?? 0) + 1) & 0xffff })]],
    [
      'to another question',
      (query) => [
        response(query, with66, { questions: [{ name: 'b.example.com', type: 'A', class: 'IN' }] }),
      ],
    ],
    [
      'to another type',
      (query) => [
        response(query, with66, { questions: [{ ...query.questions?.[0], type: 'AAAA' } as never] }),
      ],
    ],
    ['without a question', (query) => [response(query, with66, { questions: [] })]],
    ['that is a question', (query) => [response(query, with66, { type: 'query' })]],
    ['that is no message', () => [Buffer.alloc(0), Buffer.alloc(11), Buffer.alloc(600, 255)]],
  ])('%s', async (_, forge) => {
    const server = await serving(bothOf(forge))
    expect(await addressOf(ask(asking([plain(server)])))).toBe('192.0.2.1')
  })

  test('from another port', async () => {
    const server = await serving(() => ({ kind: 'elsewhere', answers: [forged] }))
    await expect(ask(asking([plain(server)], { timeoutMs: 300 }))).rejects.toThrow('no upstream answered')
  })
})

describe('an answer in another case of letters', () => {
  const lowering: Script = ({ transport }, query) => {
    const address = transport === 'udp' ? '192.0.2.66' : '192.0.2.1'
    const questions = (query.questions ?? []).map((one) => ({ ...one, name: one.name.toLowerCase() }))
    const message = response(query, { kind: 'answer', answers: [a('a.example.com', address)] }, { questions })
    return { kind: 'raw', messages: transport === 'udp' ? [message] : [uint16(message.length), message] }
  }

  test('is believed by TCP alone', async () => {
    const server = await serving(lowering)
    const long = wire('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com')
    const upstreams = asking([plain(server)])
    expect(await addressOf(ask(upstreams, { name: long }))).toBe('192.0.2.1')
    expect(server.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
  })

  test('three times is taken for a habit', async () => {
    const server = await serving(lowering)
    const long = wire('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example.com')
    const upstreams = asking([plain(server)])
    for (let index = 0; index < 5; index++) await ask(upstreams, { name: long })
    expect(server.asked.map(({ transport }) => transport).join(' ')).toBe('udp tcp udp tcp udp tcp tcp tcp')
  })
})

describe('what is cut off', () => {
  test('is asked for by TCP', async () => {
    const server = await serving(({ transport }) =>
      transport === 'udp'
        ? { kind: 'answer', answers: [], truncated: true }
        : answer(a('a.example.com', '192.0.2.1')),
    )
    expect(await addressOf(ask(asking([plain(server)])))).toBe('192.0.2.1')
    expect(server.asked.map(({ transport }) => transport)).toEqual(['udp', 'tcp'])
  })

  test('is asked for of the next server when TCP fails', async () => {
    const first = await serving(({ transport }) =>
      transport === 'udp' ? { kind: 'answer', answers: [], truncated: true } : { kind: 'close' },
    )
    const second = await serving(good)
    expect(await addressOf(ask(asking([plain(first), plain(second)])))).toBe('192.0.2.1')
  })
})

describe('a server without extended DNS', () => {
  test.each(['FORMERR', 'NOTIMP'] as const)(
    'that says %s is asked plainly from then on',
    async (complaint) => {
      const server = await serving((asked, query) => (asked.edns ? rcode(complaint) : good(asked, query)))
      const upstreams = asking([plain(server)])
      expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
      expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
      expect(server.asked.map(({ edns }) => edns)).toEqual([true, false, false])
    },
  )

  test('may leave the question out', async () => {
    const server = await serving((asked, query) =>
      asked.edns
        ? { kind: 'raw', messages: [response(query, { kind: 'rcode', rcode: 'FORMERR' }, { questions: [] })] }
        : good(asked, query),
    )
    expect(await addressOf(ask(asking([plain(server)])))).toBe('192.0.2.1')
  })

  test('is not one that dislikes a question', async () => {
    const server = await serving((asked, query) =>
      asked.type === 'A' ? good(asked, query) : rcode('NOTIMP'),
    )
    const upstreams = asking([plain(server)])
    expect(await told(ask(upstreams, { type: 16 }))).toMatchObject({ rcode: 'NOTIMP' })
    await ask(upstreams)
    expect(server.asked.map(({ type, edns }) => `${type} ${edns}`)).toEqual([
      'TXT true',
      'TXT false',
      'A true',
    ])
  })
})

describe('of several servers', () => {
  test('the first is asked as long as it answers', async () => {
    const [first, second] = [await serving(good), await serving(good)]
    const upstreams = asking([plain(first), plain(second)])
    for (let index = 0; index < 5; index++) await ask(upstreams)
    expect([first.asked.length, second.asked.length]).toEqual([5, 0])
  })

  test('a silent one stands behind the others until its penalty is over', async () => {
    const [first, second] = [await serving(() => silence), await serving(good)]
    const upstreams = asking([plain(first), plain(second)], { timeoutMs: 400 })
    const now = vi.spyOn(performance, 'now')
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(upstreams.health().map(({ up }) => up)).toEqual([false, true])
    for (let index = 0; index < 5; index++) await ask(upstreams)
    expect([first.asked.length, second.asked.length]).toEqual([1, 6])
    const laterMs = performance.now() + 31_000
    now.mockImplementation(() => laterMs)
    first.script = good
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    await ask(upstreams)
    expect([first.asked.length, second.asked.length]).toEqual([3, 6])
    expect(upstreams.health().map(({ up }) => up)).toEqual([true, true])
  })

  test('one question alone tries a server whose penalty is over', async () => {
    const [first, second] = [await serving(() => silence), await serving(good)]
    const upstreams = asking([plain(first), plain(second)], { timeoutMs: 400 })
    await ask(upstreams)
    const real = performance.now.bind(performance)
    vi.spyOn(performance, 'now').mockImplementation(() => real() + 31_000)
    await Promise.all(Array.from({ length: 10 }, () => ask(upstreams)))
    expect(first.asked).toHaveLength(2)
  })

  test.each(['SERVFAIL', 'REFUSED'] as const)('one that says %s is passed over', async (code) => {
    const [first, second] = [await serving(() => rcode(code)), await serving(good)]
    const upstreams = asking([plain(first), plain(second)])
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(upstreams.health().map(({ up }) => up)).toEqual([true, true])
  })

  test('an absence is an answer', async () => {
    const [first, second] = [await serving(() => rcode('NXDOMAIN')), await serving(good)]
    expect(await told(ask(asking([plain(first), plain(second)])))).toMatchObject({ rcode: 'NXDOMAIN' })
    expect(second.asked).toEqual([])
  })

  test('that all fail the failure is told', async () => {
    const [first, second] = [await serving(() => rcode('SERVFAIL')), await serving(() => rcode('SERVFAIL'))]
    expect(await told(ask(asking([plain(first), plain(second)])))).toMatchObject({ rcode: 'SERVFAIL' })
    const silent = await serving(() => silence)
    const upstreams = asking([plain(first), plain(silent)], { timeoutMs: 200 })
    expect(await told(ask(upstreams))).toMatchObject({ rcode: 'SERVFAIL' })
  })

  test('that are all silent nothing is waited for longer than the time limit', async () => {
    const servers = [await serving(() => silence), await serving(() => silence)]
    const upstreams = asking(servers.map(plain), { timeoutMs: 300 })
    const startedMs = performance.now()
    await expect(ask(upstreams)).rejects.toThrow('no upstream answered in time')
    expect(performance.now() - startedMs).toBeLessThan(1500)
  })

  test('one without a route, and one at a closed port, are passed over', async () => {
    const server = await serving(good)
    const closed = await DnsServer.start(good)
    await closed.stop()
    // No socket may be connected to the broadcast address.
    const unreachable: UpstreamServer = { kind: 'plain', host: '255.255.255.255', port: 53 }
    const upstreams = asking([unreachable, plain(closed), plain(server)])
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(upstreams.health().map(({ up }) => up)).toEqual([false, false, true])
  })
})

test('a lone server is asked again when nothing comes', async () => {
  let lost = true
  const server = await serving((asked, query) => {
    if (!lost) return good(asked, query)
    lost = false
    return silence
  })
  expect(await addressOf(ask(asking([plain(server)], { timeoutMs: 600 })))).toBe('192.0.2.1')
})

/** A server of streams; `onMessage` gets each question with the connection from which it came. */
async function streaming(
  onMessage: (message: Buffer, socket: Socket) => void,
  tls?: { readonly key: string; readonly cert: string },
) {
  const sockets = new Set<Socket>()
  let connections = 0
  const serve = (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const frames = new Frames((frame) => onMessage(frame, socket))
    socket.on('data', (chunk) => frames.push(chunk))
  }
  const server = tls ? createTlsServer(tls, serve) : createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { port: (server.address() as AddressInfo).port, sockets, connections: () => connections }
}

function respondOver(message: Buffer, socket: Socket): void {
  const query = decode(message)
  const answering = response(query, {
    kind: 'answer',
    answers: [a(query.questions?.[0]?.name ?? '', '192.0.2.1')],
  })
  socket.write(Buffer.concat([uint16(answering.length), answering]))
}

describe('over TLS', () => {
  let identity = { key: '', cert: '' }
  beforeAll(() => {
    const directory = mkdtempSync(join(tmpdir(), 'embargod-'))
    const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
    const name = ['-subj', '/CN=dns.example', '-addext', 'subjectAltName=DNS:dns.example']
    execFileSync('openssl', ['req', '-x509', ...curve, ...name, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    })
    identity = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
    rmSync(directory, { recursive: true })
  })
  const secure = (port: number, name = 'dns.example'): UpstreamServer => ({
    kind: 'tls',
    host: '127.0.0.1',
    port,
    name,
  })

  test('many questions go over one connection', async () => {
    const server = await streaming(respondOver, identity)
    const upstreams = asking([secure(server.port)], { ca: identity.cert })
    const answers = await Promise.all(Array.from({ length: 300 }, () => addressOf(ask(upstreams))))
    expect(new Set(answers)).toEqual(new Set(['192.0.2.1']))
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(server.connections()).toBe(1)
  })

  test('a server with another name is asked nothing', async () => {
    let asked = 0
    const server = await streaming(() => asked++, identity)
    const upstreams = asking([secure(server.port, 'other.example')], { ca: identity.cert, timeoutMs: 500 })
    await expect(ask(upstreams)).rejects.toThrow('no upstream answered')
    expect(asked).toBe(0)
  })

  test('a server that nobody vouches for is asked nothing', async () => {
    let asked = 0
    const server = await streaming(() => asked++, identity)
    await expect(ask(asking([secure(server.port)], { timeoutMs: 500 }))).rejects.toThrow(
      'no upstream answered',
    )
    expect(asked).toBe(0)
  })

  test('a server that speaks no TLS is passed over', async () => {
    const server = await streaming((_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    await expect(ask(asking([secure(server.port)], { timeoutMs: 500 }))).rejects.toThrow(
      'no upstream answered',
    )
  })

  test('a connection that the server closed is opened again', async () => {
    const server = await streaming(respondOver, identity)
    const upstreams = asking([secure(server.port)], { ca: identity.cert })
    await ask(upstreams)
    for (const socket of server.sockets) socket.destroy()
    await turn()
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(server.connections()).toBe(2)
  })

  test('a question that the end of a connection left without answer is asked again', async () => {
    let first = true
    const server = await streaming((message, socket) => {
      if (!first) return respondOver(message, socket)
      first = false
      socket.destroy()
    }, identity)
    expect(await addressOf(ask(asking([secure(server.port)], { ca: identity.cert })))).toBe('192.0.2.1')
  })

  test('a connection over which nothing comes any more is given up', async () => {
    const dead = new Set<Socket>()
    const server = await streaming((message, socket) => {
      if (!dead.has(socket)) respondOver(message, socket)
    }, identity)
    const upstreams = asking([secure(server.port)], { ca: identity.cert, timeoutMs: 600 })
    await ask(upstreams)
    for (const socket of server.sockets) dead.add(socket)
    expect(await addressOf(ask(upstreams))).toBe('192.0.2.1')
    expect(server.connections()).toBe(2)
  })

  test('a server that is slow with one question keeps its connection', async () => {
    const server = await streaming((message, socket) => {
      if (decode(message).questions?.[0]?.type === 'A') respondOver(message, socket)
    }, identity)
    const upstreams = asking([secure(server.port)], { ca: identity.cert, timeoutMs: 600 })
    const slow = ask(upstreams, { type: 16 })
    const settled = expect(slow).rejects.toThrow('no upstream answered')
    const others = setInterval(() => void ask(upstreams), 20)
    await settled
    clearInterval(others)
    await ask(upstreams)
    expect(server.connections()).toBe(1)
  })

  test('garbage is passed over', async () => {
    const server = await streaming((message, socket) => {
      for (const bytes of [Buffer.alloc(0), Buffer.alloc(5, 1), Buffer.alloc(500, 255)])
        socket.write(Buffer.concat([uint16(bytes.length), bytes]))
      respondOver(message, socket)
    }, identity)
    expect(await addressOf(ask(asking([secure(server.port)], { ca: identity.cert })))).toBe('192.0.2.1')
  })
})

describe('the end', () => {
  test('ends what is on its way, and leaves nothing open', async () => {
    const before = process.getActiveResourcesInfo().length
    const silent = createSocket('udp4').bind(0, '127.0.0.1')
    await once(silent, 'listening')
    const server = await streaming(() => undefined)
    const upstreams = new Upstreams({
      servers: [plain(silent.address()), { kind: 'tls', host: '127.0.0.1', port: server.port, name: 'x' }],
      timeoutMs: 5000,
    })
    const answers = Array.from({ length: 50 }, () => ask(upstreams))
    const settled = Promise.allSettled(answers)
    await turn()
    const startedMs = performance.now()
    upstreams.close()
    for (const { status } of await settled) expect(status).toBe('rejected')
    expect(performance.now() - startedMs).toBeLessThan(1000)
    await expect(ask(upstreams)).rejects.toThrow('no upstream answered')
    silent.close()
    for (const end of ends.splice(0)) await end()
    await vi.waitFor(() => expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 1))
  })
})

describe('other servers', () => {
  test('are asked from the next question on', async () => {
    const [first, second] = [await serving(good), await serving(good)]
    const upstreams = asking([plain(first)])
    await ask(upstreams)
    upstreams.setServers([plain(second)], 2000)
    await ask(upstreams)
    expect([first.asked.length, second.asked.length]).toEqual([1, 1])
  })

  test('do not disturb what is on its way to those that stay', async () => {
    const [first, second] = [
      await serving(() => ({ kind: 'answer', answers: [a('a.example.com', '192.0.2.1')], delayMs: 100 })),
      await serving(good),
    ]
    const upstreams = asking([plain(first)])
    const asked = ask(upstreams)
    await turn()
    upstreams.setServers([plain(second), plain(first)], 2000)
    expect(await addressOf(asked)).toBe('192.0.2.1')
    expect(first.asked).toHaveLength(1)
  })

  test.each(['plain', 'tls'] as const)('end what is on its way to those that go: %s', async (kind) => {
    let asked = 0
    const silent = createSocket('udp4').bind(0, '127.0.0.1')
    silent.on('message', () => asked++)
    await once(silent, 'listening')
    ends.push(() => void silent.close())
    const stream = await streaming(() => undefined)
    const port = kind === 'plain' ? silent.address().port : stream.port
    const upstreams = asking([{ kind, host: '127.0.0.1', port, name: 'dns.example' }], { timeoutMs: 3000 })
    const settled = Promise.allSettled([ask(upstreams)])
    await turn(50)
    upstreams.setServers([], 3000)
    const ended = await Promise.race([settled, turn(1000)])
    expect(ended).toMatchObject([{ status: 'rejected' }])
    expect([asked, stream.connections()]).toEqual(kind === 'plain' ? [1, 0] : [0, 1])
  })

  test('that are named twice are both let go', async () => {
    const server = await serving(good)
    const upstreams = asking([plain(server), plain(server)])
    await ask(upstreams)
    server.script = () => silence
    const settled = Promise.allSettled([ask(upstreams)])
    await turn(50)
    upstreams.setServers([], 2000)
    expect(await Promise.race([settled, turn(500)])).toMatchObject([{ status: 'rejected' }])
  })
})
