import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { BatchedSocket, type Kernel } from '../../../../src/system/datagrams/batched-socket.ts'
import { MessageBatch, SOL_UDP } from '../../../../src/system/datagrams/message-batch.ts'
import type { BindOptions, ConnectOptions, Datagrams, Peer } from '../../../../src/system/datagrams/model.ts'
import { encodeSocketAddress } from '../../../../src/system/datagrams/socket-address.ts'
import { PlainSocket } from '../../../../src/system/datagrams/plain-socket.ts'
import { libcOrWhyNot, type Libc } from '../../../../src/system/libc.ts'
import { turns } from '../../../support/turns.ts'

const libc = libcOrWhyNot()
if (libc instanceof Error) throw libc
const kernel: Kernel = { libc, arriving: new MessageBatch(libc), leaving: new MessageBatch(libc) }

/** The same from outside, on every kind. */
const KINDS = {
  batched: {
    bind: async (options: BindOptions): Promise<Datagrams> => BatchedSocket.bind(kernel, options),
    connect: (options: ConnectOptions): Datagrams => BatchedSocket.connect(kernel, options),
  },
  plain: {
    bind: (options: BindOptions): Promise<Datagrams> => PlainSocket.bind(options),
    connect: (options: ConnectOptions): Datagrams => PlainSocket.connect(options),
  },
}
const FAMILIES = [
  { type: 'udp4', host: '127.0.0.1' },
  { type: 'udp6', host: '::1' },
] as const

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

interface Heard {
  readonly socket: Datagrams
  readonly messages: { text: string; from: Peer }[]
  readonly errors: Error[]
}

async function listen(
  kind: keyof typeof KINDS,
  { type, host }: { readonly type: 'udp4' | 'udp6'; readonly host: string },
  onMessage: (message: Buffer, from: Peer, socket: Datagrams) => void = () => undefined,
): Promise<Heard> {
  const messages: Heard['messages'] = []
  const errors: Error[] = []
  const socket: Datagrams = await KINDS[kind].bind({
    type,
    at: { address: host, port: 0 },
    receiveBytes: 1 << 20,
    onMessage: (message, from) => {
      messages.push({ text: message.toString(), from })
      onMessage(message, from, socket)
    },
    onError: (error) => errors.push(error),
  })
  ends.push(() => socket.close())
  return { socket, messages, errors }
}

function connect(kind: keyof typeof KINDS, host: string, port: number): Heard {
  const messages: Heard['messages'] = []
  const errors: Error[] = []
  const socket = KINDS[kind].connect({
    host,
    port,
    receiveBytes: 1 << 20,
    onMessage: (message, from) => messages.push({ text: message.toString(), from }),
    onError: (error) => errors.push(error),
  })
  ends.push(() => socket.close())
  return { socket, messages, errors }
}

async function peer(type: 'udp4' | 'udp6', host: string): Promise<Socket> {
  const socket = createSocket({ type, recvBufferSize: 1 << 20 })
  ends.push(() => socket.close())
  socket.bind(0, host)
  await once(socket, 'listening')
  return socket
}

/** On a kernel of the test: what goes wrong is among what is heard. */
function asking(by: Kernel, server: Socket, heard: string[]): BatchedSocket {
  const { address, port } = server.address()
  const socket = BatchedSocket.connect(by, {
    host: address,
    port,
    receiveBytes: 1 << 16,
    onMessage: () => undefined,
    onError: (error) => heard.push(error.message),
  })
  ends.push(() => socket.close())
  return socket
}

async function until(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(holds()).toBe(true), { timeout: 5_000, interval: 5 })
}

describe.each(['batched', 'plain'] as const)('a %s socket', (kind) => {
  test.each(FAMILIES)('answers each of many who ask at once, $type', async ({ type, host }) => {
    const { socket, messages } = await listen(kind, { type, host }, (message, from, own) =>
      own.send(Buffer.from(`re ${message.toString()}`), from),
    )
    const peers = await Promise.all(Array.from({ length: 4 }, () => peer(type, host)))
    const answers = peers.map(() => new Set<string>())
    peers.forEach((one, index) => one.on('message', (answer) => answers[index]?.add(answer.toString())))
    for (let count = 0; count < 100; count++)
      for (const [index, one] of peers.entries()) one.send(`${index} ${count}`, socket.place.port, host)
    await until(() => answers.every(({ size }) => size === 100))
    expect(answers.map(({ size }) => size)).toEqual([100, 100, 100, 100])
    peers.forEach((_, index) => expect(answers[index]).toContain(`re ${index} 99`))
    expect(messages).toHaveLength(400)
    const ports = new Set(messages.map(({ from }) => from.port))
    expect(ports).toEqual(new Set(peers.map((one) => one.address().port)))
    expect(new Set(messages.map(({ from }) => from.address))).toEqual(new Set([host]))
  })

  test.each(FAMILIES)('asks and hears the one it is connected to, $type', async ({ type, host }) => {
    const [server, stranger] = [await peer(type, host), await peer(type, host)]
    const own: { port: number; address: string }[] = []
    server.on('message', (message, from) => {
      own.push(from)
      server.send(`re ${message.toString()}`, from.port, from.address)
    })
    const { socket, messages } = connect(kind, host, server.address().port)
    for (let count = 0; count < 100; count++) socket.send(Buffer.from(String(count)))
    await until(() => messages.length === 100)
    stranger.send('forged', own[0]?.port, host)
    socket.send(Buffer.from('last'))
    await until(() => messages.some(({ text }) => text === 're last'))
    expect(messages.map(({ text }) => text)).toEqual([
      ...Array.from({ length: 100 }, (_, count) => `re ${count}`),
      're last',
    ])
  })

  test('tells that nobody is there', async () => {
    const gone = await peer('udp4', '127.0.0.1')
    const { port } = gone.address()
    ends.splice(0)
    await new Promise<void>((resolve) => gone.close(resolve))
    const { socket, errors } = connect(kind, '127.0.0.1', port)
    await vi.waitFor(() => {
      socket.send(Buffer.from('anybody?'))
      expect(errors).not.toEqual([])
    })
    expect(errors[0]).toMatchObject({ code: 'ECONNREFUSED' })
  })

  test('sends what it was told before it was closed, and nothing after', async () => {
    const server = await peer('udp4', '127.0.0.1')
    const heard: string[] = []
    server.on('message', (message) => heard.push(message.toString()))
    const { socket, messages } = await listen(kind, FAMILIES[0], (_, from, own) => {
      own.send(Buffer.from('before'), from)
      own.close()
      own.send(Buffer.from('after'), from)
    })
    server.send('ask', socket.place.port, '127.0.0.1')
    await until(() => heard.length > 0)
    await turns()
    expect(messages).toHaveLength(1)
    expect(heard).toEqual(['before'])
  })

  test('says that its place is taken', async () => {
    const { socket } = await listen(kind, FAMILIES[0])
    const again = { type: 'udp4', at: socket.place, receiveBytes: 1 << 16 } as const
    const events = { onMessage: () => undefined, onError: () => undefined }
    const outcome = await KINDS[kind].bind({ ...again, ...events }).catch((error: unknown) => error)
    expect(outcome).toMatchObject({ code: 'EADDRINUSE' })
  })

  test('takes the largest message there is', async () => {
    const { socket, messages } = await listen(kind, FAMILIES[0])
    const from = await peer('udp4', '127.0.0.1')
    // The second one is not Node's to read.
    for (let count = 0; count < 3; count++)
      from.send(Buffer.alloc(65_507, `${count}`), socket.place.port, '127.0.0.1')
    await until(() => messages.length === 3)
    expect(messages.map(({ text }) => [text.length, text.at(-1)])).toEqual([
      [65_507, '0'],
      [65_507, '1'],
      [65_507, '2'],
    ])
  })
})

describe.each(FAMILIES)('messages of one turn, $type', ({ type, host }) => {
  test('are as few as they have lengths for the kernel, and arrive as they are', async () => {
    const server = await peer(type, host)
    const heard: string[] = []
    server.on('message', (message) => heard.push(message.toString()))
    const taken: number[] = []
    const sendmmsg: Libc['sendmmsg'] = (fd, headers, count, flags) => {
      const sent = libc.sendmmsg(fd, headers, count, flags)
      taken.push(sent)
      return sent
    }
    const socket = asking({ ...kernel, libc: { ...libc, sendmmsg } }, server, heard)
    // Those of the last length are too long to share a way.
    const messages = Array.from({ length: 30 }, (_, index) =>
      String(index)
        .padStart(2)
        .padEnd([40, 100, 512, 513][index % 4] ?? 0, '.'),
    )
    for (const message of messages) socket.send(Buffer.from(message))
    await until(() => heard.length === 30)
    expect(heard.toSorted()).toEqual(messages.toSorted())
    expect(taken).toEqual([3 + messages.filter(({ length }) => length === 513).length])
  })

  test('are joined for each peer that may have them so, and for no other', async () => {
    const taken: number[] = []
    const sendmmsg: Libc['sendmmsg'] = (fd, headers, count, flags) => {
      const sent = libc.sendmmsg(fd, headers, count, flags)
      taken.push(sent)
      return sent
    }
    const errors: Error[] = []
    const socket = BatchedSocket.bind(
      { ...kernel, libc: { ...libc, sendmmsg } },
      {
        type,
        at: { address: host, port: 0 },
        receiveBytes: 1 << 16,
        onMessage: () => undefined,
        onError: (error) => errors.push(error),
      },
    )
    ends.push(() => socket.close())
    const peers = [await peer(type, host), await peer(type, host), await peer(type, host)]
    const heard = peers.map((): string[] => [])
    peers.forEach((one, index) => one.on('message', (message) => heard[index]?.push(message.toString())))
    for (let count = 0; count < 5; count++)
      for (const [index, one] of peers.entries()) {
        const { port } = one.address()
        const encoded = encodeSocketAddress(type, host, port)
        socket.send(Buffer.from(`${index} ${count}`), { address: host, port, encoded }, index > 0)
      }
    await until(() => heard.every(({ length }) => length === 5))
    expect(heard).toEqual(
      peers.map((_, index) => Array.from({ length: 5 }, (_none, count) => `${index} ${count}`)),
    )
    expect([taken, errors]).toEqual([[5 + 1 + 1], []])
  })
})

describe('a kernel that is not ready', () => {
  /** Its sending fails so often, with this error. */
  const failing = (times: number, errno: number): Kernel => {
    let left = times
    let failed = false
    const spoiled: Libc = {
      ...libc,
      sendmmsg: (...args) => {
        failed = left-- > 0
        return failed ? -1 : libc.sendmmsg(...args)
      },
      errno: () => (failed ? errno : libc.errno()),
    }
    return { ...kernel, libc: spoiled }
  }

  test.each([
    ['has no room yet', 11, 3],
    ['was interrupted', 4, 3],
    ['cannot take joined ones apart', 5, 1],
    ['has a link that is too narrow for joined ones', 90, 1],
  ])('that %s is asked again', async (_, errno, times) => {
    const server = await peer('udp4', '127.0.0.1')
    const heard: string[] = []
    server.on('message', (message) => heard.push(message.toString()))
    const socket = asking(failing(times, errno), server, heard)
    socket.send(Buffer.from('one'))
    socket.send(Buffer.from('two'))
    await until(() => heard.length === 2)
    expect(heard).toEqual(['one', 'two'])
  })

  test('that knows nothing of joining gets each by itself', async () => {
    const server = await peer('udp4', '127.0.0.1')
    const heard: string[] = []
    server.on('message', (message) => heard.push(message.toString()))
    const taken: number[] = []
    const old: Libc = {
      ...libc,
      setsockopt: (fd, level, ...rest) => (level === SOL_UDP ? -1 : libc.setsockopt(fd, level, ...rest)),
      sendmmsg: (...args) => {
        taken.push(args[2])
        return libc.sendmmsg(...args)
      },
    }
    const socket = asking({ ...kernel, libc: old }, server, heard)
    for (const text of ['one', 'two']) socket.send(Buffer.from(text))
    await until(() => heard.length === 2)
    expect([heard, taken]).toEqual([['one', 'two'], [2]])
  })

  test('that will not have one message gets the others', async () => {
    const server = await peer('udp4', '127.0.0.1')
    const heard: string[] = []
    server.on('message', (message) => heard.push(message.toString()))
    const errors: Error[] = []
    const asking = await peer('udp4', '127.0.0.1')
    const socket = BatchedSocket.bind(failing(1, 1), {
      type: 'udp4',
      at: { address: '127.0.0.1', port: 0 },
      receiveBytes: 1 << 16,
      onMessage: (message, from) => socket.send(message, from),
      onError: (error) => errors.push(error),
    })
    ends.push(() => socket.close())
    asking.on('message', (message) => heard.push(message.toString()))
    for (const text of ['one', 'two', 'three']) asking.send(text, socket.place.port, '127.0.0.1')
    await until(() => heard.length >= 2)
    expect(heard.length).toBeGreaterThanOrEqual(2)
    expect(errors).toEqual([])
  })
})
