import { spawnSync } from 'node:child_process'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { libcOrWhyNot } from '../../../src/system/libc.ts'
import { acquireLock } from '../../../src/system/lock.ts'
import { listenerOf } from '../../../src/system/socket-listener.ts'
import { needsTool } from '../../support/needs-tool.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { turns } from '../../support/turns.ts'

const native = libcOrWhyNot()
/** Another one for each run, since several may go on in one network namespace. */
const GROUP = 30_000 + Math.floor(Math.random() * 30_000)
const without = new Error('not installed')

describe.each([
  ['by this process', native],
  ['by one that reads from us', without],
])('the lock, held %s', (_how, libc) => {
  // Without the C library it is perl that holds the lock.
  beforeEach(needsTool('perl'))

  test('is held by one at a time, of whichever way', async () => {
    const first = await acquireLock(GROUP, libc)
    for (const other of [native, without])
      await expect(acquireLock(GROUP, other)).rejects.toMatchObject({ name: 'AlreadyRunningError' })
    await first.release()
    await (await acquireLock(GROUP, libc)).release()
  })

  test('is freed with the process that held it', async () => {
    const module = join(import.meta.dirname, '../../../src/system/lock.ts')
    const how = libc instanceof Error ? ", new Error('not installed')" : ''
    const script = `import(${JSON.stringify(module)}).then(async ({ acquireLock }) => {
      await acquireLock(${GROUP}${how})
      await acquireLock(${GROUP}).catch(({ name }) => console.log(name))
      process.kill(process.pid, 'SIGKILL')
    })`
    const { signal, stdout } = spawnSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '-e', script],
      { encoding: 'utf8' },
    )
    expect({ signal, stdout }).toEqual({ signal: 'SIGKILL', stdout: 'AlreadyRunningError\n' })
    await expect.poll(() => acquireLock(GROUP, libc).then((lock) => lock.release())).toBeUndefined()
  })
})

describe('who listens on a socket', () => {
  const listening = (server: Server, path: string): Promise<void> =>
    new Promise((resolve) => server.listen(path, resolve))

  test('is told by the kernel', async () => {
    const path = join(await scratchDirectory(), 'a.sock')
    const server = createServer()
    await listening(server, path)
    expect(listenerOf(path)).toBe(process.pid)
    expect(listenerOf(path, without)).toBeUndefined()
    server.close()
    expect(listenerOf(path)).toBeUndefined()
    expect(listenerOf(join(path, 'x'.repeat(200)))).toBeUndefined()
  })

  test('is not waited for where nobody takes the connections that wait', async () => {
    const path = join(await scratchDirectory(), 'b.sock')
    const script = `const { createServer } = require('net')
      createServer().listen({ path: ${JSON.stringify(path)}, backlog: 1 }, () => { console.log('up'); for (;;); })`
    const { spawn } = await import('node:child_process')
    const deaf = spawn(process.execPath, ['-e', script])
    await new Promise((resolve) => deaf.stdout.once('data', resolve))
    const waiting = Array.from({ length: 4 }, () => connect(path).on('error', () => undefined))
    await turns()
    const startedMs = performance.now()
    expect(listenerOf(path)).toBeUndefined()
    expect(performance.now() - startedMs).toBeLessThan(100)
    for (const one of waiting) one.destroy()
    deaf.kill('SIGKILL')
  })
})
