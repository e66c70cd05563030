import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { spawn } from 'node:child_process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { callDaemon, type CallDaemon } from '../../../src/control/client.ts'
import { ControlError, SilentDaemonError } from '../../../src/control/error.ts'
import { socketPath } from '../../../src/control/place.ts'
import { ControlServer } from '../../../src/control/server.ts'
import { askUnlessSilent, isSilent } from '../../../src/control/silence.ts'
import { needsTool } from '../../support/needs-tool.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { turns } from '../../support/turns.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closers.splice(0)) await close()
})

/** A daemon that says to each caller what the test has it say. */
async function fakeDaemon(converse: (socket: Socket) => void): Promise<string> {
  const directory = await scratchDirectory()
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    converse(socket)
  })
  server.listen(await socketPath(directory))
  await once(server, 'listening')
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return directory
}

/** Happens once, and can be waited for. */
function signal() {
  let give = (): void => undefined
  const given = new Promise<void>((resolve) => (give = resolve))
  return { give: () => give(), given }
}

const useFakeTime = (): void =>
  void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })

/** Time passes, and then what was sent in it arrives. */
async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms)
  await turns()
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const PROCESSING = 'HTTP/1.1 102 Processing\r\n\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{"result":7}'

describe('a daemon that is silent', () => {
  it('is given up, and has not been told what it was asked to do', async () => {
    let heard = ''
    const directory = await fakeDaemon((socket) => socket.on('data', (data) => (heard += String(data))))
    const call = callDaemon('allow', { entry: 'a.example' }, { directory, patience: { takenMs: 300 } })
    await expect(call).rejects.toMatchObject({ message: 'the daemon does not answer', taken: false })
    await vi.waitFor(() => expect(heard).toContain('POST /allow'), 5_000)
    expect(heard).not.toContain('a.example')
  })

  it('is given up after two seconds unless told otherwise', async () => {
    const called = signal()
    const directory = await fakeDaemon(called.give)
    useFakeTime()
    let end: unknown
    const calling = callDaemon('status', {}, { directory }).catch((error: unknown) => (end = error))
    await called.given
    await pass(1_900)
    expect(end).toBeUndefined()
    await pass(200)
    expect(end).toBeInstanceOf(SilentDaemonError)
    await calling
  })

  it('is given up where so many wait for it that the kernel takes no more', async (context) => {
    needsTool('perl')(context)
    const directory = await scratchDirectory()
    const listening = spawn('perl', ['-e', LISTENS_AND_STOPS, await socketPath(directory)])
    closers.push(() => listening.kill('SIGKILL'))
    await once(listening.stdout, 'data')
    const patience = { takenMs: 300 }
    const calls = Array.from({ length: 4 }, () => callDaemon('status', {}, { directory, patience }))
    for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
      expect(status).toBe('rejected')
      expect(reason).toBeInstanceOf(SilentDaemonError)
    }
  })

  it('may still do what it had taken before it fell silent, and that is said', async () => {
    const directory = await fakeDaemon((socket) => socket.write(CONTINUE + PROCESSING))
    await expect(callDaemon('reload', {}, { directory, patience: { silenceMs: 50 } })).rejects.toMatchObject({
      taken: true,
      message: expect.stringContaining('may still carry out'),
    })
  })
})

describe('a daemon that is at work', () => {
  it('is waited for as long as it shows that it lives', async () => {
    const directory = await scratchDirectory()
    const [begun, done] = [signal(), signal()]
    const reload = async () => {
      begun.give()
      await done.given
      return 'done'
    }
    useFakeTime()
    const server = await ControlServer.start(directory, { reload })
    closers.push(() => server.close())
    const call = callDaemon('reload', {}, { directory, patience: { silenceMs: 1_200 } })
    await begun.given
    for (let times = 0; times < 10; times += 1) await pass(500)
    done.give()
    expect(await call).toBe('done')
  })

  it('is waited for where an older version shows nothing between taking the request and the answer', async () => {
    const taken = signal()
    let answer = (): unknown => undefined
    const directory = await fakeDaemon((socket) => {
      answer = () => socket.write(ANSWER)
      socket.once('data', () => socket.write(CONTINUE))
      socket.on('data', (data) => String(data).includes('{}') && taken.give())
    })
    useFakeTime()
    const call = callDaemon('reload', {}, { directory })
    await taken.given
    await pass(60_000)
    answer()
    expect(await call).toBe(7)
  })

  it('is not waited for without end', async () => {
    const directory = await fakeDaemon((socket) => {
      socket.write(CONTINUE)
      const signs = setInterval(() => socket.write(PROCESSING), 20)
      socket.once('close', () => clearInterval(signs))
    })
    await expect(callDaemon('reload', {}, { directory, patience: { answerMs: 200 } })).rejects.toThrow(
      'not done within',
    )
  })
})

describe('a server whose caller has given up', () => {
  it('carries out nothing that it was not told in full', async () => {
    const asked: string[] = []
    const directory = await scratchDirectory()
    const server = await ControlServer.start(directory, { allow: async () => asked.push('allow') })
    closers.push(() => server.close())
    // As a request lies in the socket of a process that was stopped when it came: headers, and a caller who is gone.
    const socket = connect(server.path)
    socket.end('POST /allow HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
    expect(await callDaemon('allow', {}, { directory })).toBe(1)
    expect(asked).toEqual(['allow'])
  })
})

describe('a command that can do without the daemon', () => {
  const silent: CallDaemon = () => Promise.reject(new SilentDaemonError(false))

  it('says once that it does not answer, and asks no second time', async () => {
    const said: string[] = []
    let calls = 0
    const counting: CallDaemon = (name) => {
      calls += 1
      return silent(name)
    }
    const asking = askUnlessSilent(counting, { write: (text) => said.push(text) })
    expect(asking.isSilent()).toBe(false)
    expect([await asking.ask('docker'), await asking.ask('held')]).toEqual([undefined, undefined])
    expect({ calls, lines: said.length, isSilent: asking.isSilent() }).toEqual({
      calls: 1,
      lines: 1,
      isSilent: true,
    })
    expect(said.join('')).toContain('does not answer')
  })

  it('fails where the daemon refuses', async () => {
    const refusing: CallDaemon = () => Promise.reject(new ControlError('bad', 2))
    await expect(askUnlessSilent(refusing, { write: () => undefined }).ask('plan')).rejects.toThrow('bad')
    await expect(isSilent(refusing)).rejects.toThrow('bad')
    expect(await isSilent(silent)).toBe(true)
  })
})

/** Nobody accepts here, and the kernel keeps no more than one caller waiting. */
const LISTENS_AND_STOPS = String.raw`
use Socket;
socket my $socket, AF_UNIX, SOCK_STREAM, 0 or die;
bind $socket, pack_sockaddr_un($ARGV[0]) or die;
listen $socket, 0 or die;
$| = 1; print "listening\n"; sleep 60;
`
