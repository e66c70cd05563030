import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { callDaemon } from '../../../src/control/client.ts'
import { ControlServer } from '../../../src/control/server.ts'
import { REQUEST_LIMITS, type RequestLimits } from '../../../src/observe/connection-room.ts'
import { startHttpServer, type HttpServer } from '../../../src/observe/http.ts'
import { turns } from '../../support/turns.ts'

/** Clients that want too much of the two sockets that answer HTTP: each costs little, is gone soon, and keeps nobody else waiting. */

/** A tenth of the real times, of which none is long. */
const LIMITS: RequestLimits = {
  ...REQUEST_LIMITS,
  requestTimeout: REQUEST_LIMITS.requestTimeout / 10,
  headersTimeout: REQUEST_LIMITS.headersTimeout / 10,
  connectionsCheckingInterval: REQUEST_LIMITS.connectionsCheckingInterval / 10,
}

let directory: string
let control: ControlServer
let http: HttpServer
let bodies: unknown[] = []
let pages = 0

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embargod-'))
  const status = async (body: unknown) => {
    bodies.push(body)
    return 'fine'
  }
  control = await ControlServer.start(directory, { status }, LIMITS)
  http = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    metrics: {
      contentType: 'text/plain',
      render: async () => {
        pages += 1
        return 'up 1\n'
      },
    },
    notReady: () => [],
    limits: LIMITS,
  })
})
afterAll(async () => {
  await control.close()
  await http.close()
  await rm(directory, { recursive: true, force: true })
})

/** A busy machine is no failure. */
const PATIENCE = { takenMs: 15_000, silenceMs: 15_000, answerMs: 15_000 }

const DOORS: readonly [string, () => Socket, () => Promise<unknown>][] = [
  ['control', () => connect(control.path), () => callDaemon('status', {}, { directory, patience: PATIENCE })],
  [
    'metrics',
    () => connect(http.port, '127.0.0.1'),
    async () => {
      const response = await fetch(`http://127.0.0.1:${http.port}/metrics`, {
        signal: AbortSignal.timeout(PATIENCE.answerMs),
      })
      return response.status === 200 ? 'fine' : response.status
    },
  ],
]

test('no request may take longer than ten seconds', () => {
  const { requestTimeout, headersTimeout, connectionsCheckingInterval } = REQUEST_LIMITS
  expect(Math.max(requestTimeout, headersTimeout) + connectionsCheckingInterval).toBeLessThanOrEqual(11_000)
})

test('clients that ask for a large page and do not read share one copy, and are cut off', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const page = 'x'.repeat(6_000_000)
  const large = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    metrics: { contentType: 'text/plain', render: async () => page },
    notReady: () => [],
  })
  const before = process.memoryUsage().rss
  let most = 0
  const watching = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 50)
  try {
    const sockets: Socket[] = []
    for (let index = 0; index < 200; index++) {
      const socket = connect(large.port, '127.0.0.1')
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.pause()
      socket.write('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n')
      sockets.push(socket)
    }
    // Each answer that is on its way has a timer.
    while (vi.getTimerCount() < sockets.length) await turns(1)
    await turns()
    vi.advanceTimersByTime(11_000)
    for (const socket of sockets) {
      await closing(socket.resume())
      expect(socket.bytesRead).toBeLessThan(page.length)
    }
    expect((most - before) / 2 ** 20).toBeLessThan(500)
  } finally {
    clearInterval(watching)
    vi.useRealTimers()
    await large.close()
  }
}, 60_000)

/** Not by `once`, which rejects when the connection is reset. */
const closing = async (socket: Socket): Promise<void> => {
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve))
}

describe.each(DOORS)('%s', (_, open, ask) => {
  const connected = async (): Promise<Socket> => {
    const socket = open()
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    return socket.resume()
  }

  test('any bytes are answered, or the connection is closed', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.constantFrom(
              'POST /status HTTP/1.1\r\n',
              'GET /metrics HTTP/1.1\r\n',
              'host: a\r\n',
              'content-length: 5\r\n',
              'content-length: -1\r\n',
              'transfer-encoding: chunked\r\n',
              'expect: 100-continue\r\n',
              'upgrade: x\r\nconnection: upgrade\r\n',
              '\r\n',
              '5\r\nab',
              'ffffffffffffffff\r\n',
              'PRI * HTTP/2.0\r\n\r\n',
              'CONNECT a:1 HTTP/1.1\r\n\r\n',
            ),
            fc.string({ unit: 'binary', maxLength: 40 }),
          ),
          { maxLength: 12 },
        ),
        async (parts) => {
          const socket = await connected()
          socket.end(parts.join(''))
          await closing(socket)
        },
      ),
      { numRuns: 200, seed: 7 },
    ))

  test('headers that are too long end it', async () => {
    const socket = await connected()
    socket.write(`POST /status HTTP/1.1\r\nx: ${'x'.repeat(20_000)}`)
    await closing(socket)
    expect(await ask()).toBe('fine')
  })

  test('who writes a letter at a time is cut off, and meanwhile others are answered', async () => {
    const slow = await Promise.all(Array.from({ length: 300 }, connected))
    const text = 'POST /status HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n'
    let at = 0
    const writing = setInterval(() => {
      for (const socket of slow) if (!socket.destroyed) socket.write(text[at] ?? ' ')
      at += 1
    }, 50)
    try {
      expect(await ask()).toBe('fine')
      await Promise.all(slow.map(closing))
      expect(await ask()).toBe('fine')
    } finally {
      clearInterval(writing)
    }
  }, 60_000)

  test('who sends a thousand questions at once has one of them handled', async () => {
    const before = bodies.length + pages
    const one = 'POST /status HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}'
    const other = 'GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n'
    for (const text of [one, other]) {
      const socket = await connected()
      socket.write(text.repeat(1_000))
      socket.end()
      await closing(socket)
    }
    expect(bodies.length + pages - before).toBeLessThanOrEqual(1)
    expect(await ask()).toBe('fine')
  })
})

describe('control', () => {
  test.each([
    ['too many bytes', `"${'x'.repeat(1_100_000)}"`, 413],
    ['an end too early', '{"a":', 422],
    ['depth', '['.repeat(500_000) + ']'.repeat(500_000), 200],
  ])('a body of %s', async (_, body, status) => {
    const socket = connect(control.path)
    socket.on('error', () => undefined)
    const text = new Promise<string>((resolve) => {
      let all = ''
      socket.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')))
      socket.on('close', () => resolve(all))
    })
    socket.write(`POST /status HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
    expect(await text).toMatch(new RegExp(`^(HTTP/1.1 102 Processing\\r\\n\\r\\n)*HTTP/1.1 ${status} `))
    bodies = []
  })
})

test('who asks for the metrics at the same moment gets the same page', async () => {
  const sockets = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const socket = connect(http.port, '127.0.0.1')
      socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n')
      // The server takes one connection in each turn: now it has this one.
      await once(socket, 'data')
      return socket
    }),
  )
  const before = pages
  const answers = sockets.map(async (socket) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    await once(socket, 'end')
    return text.split('\r\n\r\n')[1]
  })
  for (const socket of sockets) socket.write('GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['up 1\n']))
  expect(pages - before).toBeLessThan(20)
})
