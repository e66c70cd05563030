import { chmod, readdir, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { callDaemon } from '../../../src/control/client.ts'
import { ControlError } from '../../../src/control/error.ts'
import { runtimeDirectory, socketPath } from '../../../src/control/place.ts'
import { allowRequest } from '../../../src/control/protocol.ts'
import { ControlServer } from '../../../src/control/server.ts'
import type { ControlHandlers } from '../../../src/control/server.ts'
import { scratchDirectory } from '../../support/scratch.ts'

const servers: ControlServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function serve(directory: string, handlers: ControlHandlers): Promise<ControlServer> {
  const server = await ControlServer.start(directory, handlers)
  servers.push(server)
  return server
}

describe('asking the daemon', () => {
  it('brings the answer of the handler of that name, given the body', async () => {
    const directory = await scratchDirectory()
    await serve(directory, { echo: async (body) => ({ got: body }), status: async () => ({ pid: 7 }) })
    expect(await callDaemon('echo', { entry: 'bücher.example' }, { directory })).toEqual({
      got: { entry: 'bücher.example' },
    })
    expect(await callDaemon('status', undefined, { directory })).toEqual({ pid: 7 })
  })

  it('is undefined when no daemon runs, or when one left its socket behind', async () => {
    const directory = await scratchDirectory()
    expect(await callDaemon('status', {}, { directory })).toBeUndefined()
    await leaveDeadSocket(directory)
    expect(await callDaemon('status', {}, { directory })).toBeUndefined()
  })

  it('rejects with the message and exit code that the daemon chose', async () => {
    const directory = await scratchDirectory()
    await serve(directory, {
      reload: () => Promise.reject(new ControlError('the config is bad', 2)),
      plan: () => Promise.reject(new Error('reading sets')),
    })
    await expect(callDaemon('reload', {}, { directory })).rejects.toMatchObject({
      name: 'ControlError',
      message: 'the config is bad',
      exitCode: 2,
    })
    await expect(callDaemon('plan', {}, { directory })).rejects.toMatchObject({
      message: 'reading sets',
      exitCode: 1,
    })
    await expect(callDaemon('constructor', {}, { directory })).rejects.toThrow('does not know')
  })

  it('rejects when the daemon hangs', async () => {
    const directory = await scratchDirectory()
    await serve(directory, { verify: () => new Promise(() => undefined) })
    await expect(callDaemon('verify', {}, { directory, patience: { answerMs: 50 } })).rejects.toThrow(
      'not done within',
    )
  })

  it('tells the handler when the client is gone', async () => {
    const directory = await scratchDirectory()
    const gone = new Promise<boolean>((resolve) => {
      void serve(directory, {
        verify: (_body, signal) => {
          signal.addEventListener('abort', () => resolve(true))
          return new Promise(() => undefined)
        },
      }).then(() =>
        callDaemon('verify', {}, { directory, patience: { answerMs: 50 } }).catch(() => undefined),
      )
    })
    expect(await gone).toBe(true)
  })

  it('carries a large answer whole', async () => {
    const directory = await scratchDirectory()
    const names = Array.from({ length: 50_000 }, (_, index) => `host-${index}.example.com`)
    await serve(directory, { status: async () => ({ names }) })
    expect(await callDaemon('status', {}, { directory })).toEqual({ names })
  })
})

describe('the socket', () => {
  it('is for our user alone and named after the network namespace', async () => {
    const directory = await scratchDirectory()
    await chmod(directory, 0o755)
    const server = await serve(directory, {})
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await stat(server.path)).mode & 0o777).toBe(0o600)
    expect(server.path).toMatch(/\/\d+\.sock$/)
  })

  it('replaces a dead one, refuses a living one, and goes away with the daemon', async () => {
    const directory = await scratchDirectory()
    await leaveDeadSocket(directory)
    const first = await serve(directory, { status: async () => 1 })
    await expect(ControlServer.start(directory, {})).rejects.toThrow('another daemon')
    expect(await callDaemon('status', {}, { directory })).toBe(1)
    await first.close()
    expect(await readdir(directory)).toEqual([])
  })

  it('takes no place that is no directory', async () => {
    const file = join(await scratchDirectory(), 'run')
    await writeFile(file, '')
    await expect(ControlServer.start(file, {})).rejects.toThrow()
  })

  it.each([
    ['GET', 10, 405],
    ['POST', 2 * 1024 * 1024, 413],
    ['POST', 3, 422],
  ])('answers a raw %s of %i bytes with %i', async (method, size, status) => {
    const directory = await scratchDirectory()
    const server = await serve(directory, { status: async () => 'fine' })
    expect(await rawStatus(server.path, method, 'x'.repeat(size))).toBe(status)
  })
})

it('the runtime directory can be moved by the environment', () => {
  expect(runtimeDirectory({})).toBe('/run/embargod')
  expect(runtimeDirectory({ EMBARGOD_RUNTIME_DIR: '/tmp/x' })).toBe('/tmp/x')
})

it.each([
  [{ action: 'add', entry: 'a.example:443', forMs: 3_600_000 }, true],
  [{ action: 'add', entry: 'a.example:443', forMs: -1 }, false],
  [{ action: 'add', entry: '', forMs: 1 }, false],
  [{ action: 'list', entry: 'x' }, false],
  [{ action: 'revoke', entry: 'a.example:443' }, true],
])('allow request %j: %s', (body, valid) => expect(allowRequest.safeParse(body).success).toBe(valid))

/** A socket file without a listener, as a killed daemon leaves it. */
async function leaveDeadSocket(directory: string): Promise<void> {
  const path = await socketPath(directory)
  const moved = `${path}.moved`
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(moved, resolve))
  const { rename } = await import('node:fs/promises')
  await rename(moved, path)
  await new Promise((resolve) => server.close(resolve))
}

function rawStatus(socketPath: string, method: string, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path: '/status', agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    call.once('error', reject)
    call.end(body)
  })
}
