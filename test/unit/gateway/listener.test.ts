import { createSocket, Socket as DatagramSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Listener, type ListenerOptions } from '../../../src/gateway/listener.ts'
import { Frames } from '../../../src/dns/frames.ts'
import { turns } from '../../support/turns.ts'
import { uint16 } from './messages.ts'

const ends: (() => Promise<void> | void)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const end of ends.splice(0).toReversed()) await end()
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  return address.port
}

const echo: ListenerOptions['onMessage'] = (message, _from, _isUdp, respond) => {
  respond(message, false)
  return true
}

/** @param onMessage returns false for what it does not answer */
async function listening(
  onMessage: (...args: Parameters<ListenerOptions['onMessage']>) => unknown = echo,
  limits: Pick<ListenerOptions, 'firstQuestionMs'> = {},
) {
  const errors: Error[] = []
  const port = await freePort()
  const listener = await Listener.open({
    port,
    inherited: [],
    onMessage: (...args) => onMessage(...args) !== false,
    onError: (error) => errors.push(error),
    ...limits,
  })
  let open = true
  const close = async () => {
    if (open) await listener.close()
    open = false
  }
  ends.push(close)
  return { port, close, errors }
}

async function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect(port, host)
  socket.on('error', () => undefined)
  ends.push(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

const framed = (text: string) => Buffer.concat([uint16(text.length), Buffer.from(text)])

/** The next answers of a connection. */
function answersOf(socket: Socket, count: number): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const answers: string[] = []
    const frames = new Frames((frame) => {
      answers.push(frame.toString())
      if (answers.length === count) resolve(answers)
    })
    socket.on('data', (chunk) => frames.push(chunk))
    socket.on('close', () => reject(new Error(`closed after ${answers.length} answers`)))
  })
}

async function askByUdp(port: number, text: string, host = '127.0.0.1'): Promise<string> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  ends.push(() => void socket.close())
  socket.send(text, port, host)
  const [message] = (await once(socket, 'message')) as [Buffer]
  return message.toString()
}

test.each(['127.0.0.1', '::1'])('both protocols are answered at %s', async (host) => {
  const asked: unknown[] = []
  const { port } = await listening((message, from, isUdp, respond) => {
    asked.push([from, isUdp])
    respond(message, false)
  })
  expect(await askByUdp(port, 'by udp', host)).toBe('by udp')
  const socket = await dial(port, host)
  socket.write(framed('by tcp'))
  expect(await answersOf(socket, 1)).toEqual(['by tcp'])
  expect(asked).toEqual([
    [host, true],
    [host, false],
  ])
})

describe('over one connection', () => {
  test('questions are answered as they are done, in any order', async () => {
    let late = (): void => undefined
    const { port } = await listening((message, _from, _isUdp, respond) => {
      if (message.toString() === 'slow') late = () => respond(message, false)
      else respond(message, false)
      if (message.toString() === 'quicker') late()
    })
    const socket = await dial(port)
    socket.write(Buffer.concat([framed('slow'), framed('quick'), framed('quicker')]))
    expect(await answersOf(socket, 3)).toEqual(['quick', 'quicker', 'slow'])
  })

  test('of two thousand questions in one write the most wait, and are answered after the others', async () => {
    const waiting: (() => void)[] = []
    const { port } = await listening((message, _from, _isUdp, respond) => {
      waiting.push(() => respond(message, false))
    })
    const socket = await dial(port)
    const questions = Array.from({ length: 2_000 }, (_, number) => `question ${number}`)
    socket.write(Buffer.concat(questions.map(framed)))
    const answers = answersOf(socket, questions.length)
    await vi.waitFor(() => expect(waiting.length).toBe(64))
    await turns()
    expect(waiting.length).toBe(64)
    const feeding = setInterval(() => {
      for (const answer of waiting.splice(0)) answer()
    }, 0)
    ends.push(() => clearInterval(feeding))
    expect(await answers).toEqual(questions)
  })

  test('who does not read what it asked for is cut off', async () => {
    const large = Buffer.alloc(60_000)
    let taken = 0
    const { port } = await listening((_message, _from, _isUdp, respond) => {
      taken += 1
      setImmediate(() => respond(large, false))
    })
    const socket = await dial(port)
    socket.pause()
    const closed = new Promise((resolve) => socket.once('close', resolve))
    for (let times = 0; times < 200 && !socket.destroyed; times++) {
      socket.write(Buffer.concat(Array.from({ length: 64 }, () => framed('more'))))
      await turns()
    }
    socket.resume()
    await closed
    // What the kernel holds for it, and 64 answers.
    expect(taken).toBeLessThan(500)
  })

  test('a question may come byte by byte', async () => {
    const { port } = await listening()
    const socket = await dial(port)
    for (const byte of framed('slowly')) {
      socket.write(Buffer.from([byte]))
      await turns(3)
    }
    expect(await answersOf(socket, 1)).toEqual(['slowly'])
  })

  test('many more than may be on their way are answered all the same', async () => {
    const waiting: (() => void)[] = []
    const { port } = await listening((message, _from, _isUdp, respond) =>
      waiting.push(() => respond(message, false)),
    )
    const socket = await dial(port)
    const texts = Array.from({ length: 400 }, (_, at) => `question ${at}`)
    const answers = answersOf(socket, texts.length)
    for (const text of texts) {
      socket.write(framed(text))
      if (waiting.length < 70) await turns(1)
    }
    await turns()
    expect(waiting.length).toBeLessThan(400)
    const release = setInterval(() => {
      for (const respond of waiting.splice(0)) respond()
    }, 1)
    expect((await answers).toSorted()).toEqual(texts.toSorted())
    clearInterval(release)
  })

  test('who reads no answer is not written to for ever', async () => {
    let asked = 0
    const large = Buffer.alloc(60_000)
    const { port } = await listening((_message, _from, _isUdp, respond) => {
      asked++
      respond(large, false)
    })
    const socket = await dial(port)
    socket.pause()
    for (let index = 0; index < 100; index++) {
      for (let more = 0; more < 20; more++) socket.write(framed('x'))
      await turns(3)
    }
    expect(asked).toBeLessThan(1000)
    const answers = answersOf(socket, 2000)
    socket.resume()
    expect(await answers).toHaveLength(2000)
  })

  test('who deserves no answer is left', async () => {
    const { port } = await listening(() => false)
    const socket = await dial(port)
    socket.write(framed('x'))
    await once(socket, 'close')
  })

  test('an answer to who is gone goes nowhere', async () => {
    let asked = 0
    let respond = (): void => undefined
    const { port, errors } = await listening((message, _from, _isUdp, answer) => {
      asked += 1
      respond = () => answer(message, false)
    })
    const socket = await dial(port)
    socket.write(framed('x'))
    await vi.waitFor(() => expect(asked).toBe(1))
    socket.resetAndDestroy()
    await turns()
    respond()
    const other = await dial(port)
    other.write(framed('still there'))
    await vi.waitFor(() => expect(asked).toBe(2))
    respond()
    expect(await answersOf(other, 1)).toEqual(['still there'])
    expect(errors).toEqual([])
  })
})

test('garbage stops nobody', async () => {
  const { port, errors } = await listening()
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(1),
    Buffer.alloc(70_000, 255),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ]) {
    const socket = await dial(port)
    socket.write(bytes)
    await turns()
    if (bytes.length % 2 === 0) socket.resetAndDestroy()
    else socket.end()
  }
  const socket = createSocket('udp4')
  ends.push(() => void socket.close())
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(9000, 255)])
    socket.send(bytes, port, '127.0.0.1')
  expect(await askByUdp(port, 'a question')).toBe('a question')
  const good = await dial(port)
  good.write(framed('another'))
  expect(await answersOf(good, 1)).toEqual(['another'])
  expect(errors).toEqual([])
})

describe('connections', () => {
  test('of one source are sixteen, and one more when one is gone', async () => {
    const { port } = await listening()
    const sockets = await Promise.all(Array.from({ length: 16 }, () => dial(port)))
    await turns()
    const more = await dial(port)
    more.write(framed('too many'))
    await expect(answersOf(more, 1)).rejects.toThrow('closed after 0 answers')
    const other = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' })
    ends.push(() => void other.destroy())
    other.write(framed('of another source'))
    expect(await answersOf(other, 1)).toEqual(['of another source'])
    sockets[0]?.destroy()
    await turns()
    const again = await dial(port)
    again.write(framed('once more'))
    expect(await answersOf(again, 1)).toEqual(['once more'])
  })

  test('of which nothing comes are ended', async () => {
    const { port } = await listening(echo, { firstQuestionMs: 100 })
    const startedMs = performance.now()
    const socket = await dial(port)
    await once(socket.resume(), 'close')
    expect(performance.now() - startedMs).toBeGreaterThan(80)
  })

  test('that asked are kept for longer', async () => {
    const { port } = await listening(echo, { firstQuestionMs: 100 })
    const socket = await dial(port)
    socket.write(framed('a question'))
    await answersOf(socket, 1)
    const silent = await dial(port)
    await once(silent.resume(), 'close')
    socket.write(framed('another'))
    expect(await answersOf(socket, 1)).toEqual(['another'])
  })

  test('of one network leave room for others, whatever sources they name', { timeout: 30_000 }, async () => {
    const { port } = await listening(echo, { firstQuestionMs: 60_000 })
    const quiet = connect({ port, host: '127.0.0.3' })
    quiet.on('error', () => undefined)
    ends.push(() => void quiet.destroy())
    await once(quiet, 'connect')
    for (let from = 0; from < 1100; from += 100)
      await Promise.all(
        Array.from({ length: 100 }, async (_, at) => {
          const source = `127.1.${(from + at) >> 8}.${(from + at) & 255}`
          const socket = connect({ port, host: '127.0.0.1', localAddress: source })
          socket.on('error', () => undefined)
          ends.push(() => void socket.destroy())
          await once(socket, 'connect')
        }),
      )
    const other = await dial(port, '127.0.0.2')
    other.write(framed('of another network'))
    expect(await answersOf(other, 1)).toEqual(['of another network'])
    // Of the same one, too.
    const same = connect({ port, host: '127.0.0.1', localAddress: '127.9.9.9' })
    ends.push(() => void same.destroy())
    same.write(framed('of the same network'))
    expect(await answersOf(same, 1)).toEqual(['of the same network'])
    quiet.write(framed('of the quiet one'))
    expect(await answersOf(quiet, 1)).toEqual(['of the quiet one'])
  })

  test('are ended by the end', async () => {
    const { port, close } = await listening()
    const socket = await dial(port)
    socket.resume()
    await turns()
    await Promise.all([once(socket, 'close'), close()])
    await expect(dial(port)).rejects.toThrow()
  })
})

test('an answer after the end goes nowhere', async () => {
  const late: (() => void)[] = []
  const { port, close } = await listening((message, _from, _isUdp, respond) =>
    late.push(() => respond(message, false)),
  )
  const socket = createSocket('udp4')
  ends.push(() => void socket.close())
  socket.send('x', port, '127.0.0.1')
  const connection = await dial(port)
  connection.write(framed('y'))
  await vi.waitFor(() => expect(late).toHaveLength(2))
  await close()
  for (const respond of late) expect(respond).not.toThrow()
})

test('a question from port 0 is passed over: nobody can be answered there', async () => {
  const bound: DatagramSocket[] = []
  const bind = DatagramSocket.prototype.bind
  vi.spyOn(DatagramSocket.prototype, 'bind').mockImplementation(function (this: DatagramSocket, ...args) {
    bound.push(this)
    return bind.apply(this, args)
  })
  const { port } = await listening()
  for (const socket of bound) {
    const from = { address: '127.0.0.1', port: 0, family: 'IPv4', size: 1 }
    expect(() => socket.emit('message', Buffer.from('x'), from)).not.toThrow()
  }
  expect(await askByUdp(port, 'still there')).toBe('still there')
})

test.each(['udp', 'tcp'])('a port that is taken by %s is told, and leaves nothing open', async (protocol) => {
  const port = await freePort()
  if (protocol === 'udp') {
    const socket = createSocket('udp4').bind(port, '0.0.0.0')
    ends.push(() => void socket.close())
    await once(socket, 'listening')
  } else {
    const server = createServer().listen(port, '0.0.0.0')
    ends.push(() => void server.close())
    await once(server, 'listening')
  }
  const attempt = () => Listener.open({ port, inherited: [], onMessage: echo, onError: () => undefined })
  await expect(attempt()).rejects.toThrow('EADDRINUSE')
  await turns()
  const before = readdirSync('/proc/self/fd').length
  for (let index = 0; index < 10; index++) await expect(attempt()).rejects.toThrow('EADDRINUSE')
  await turns()
  expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 5)
})
