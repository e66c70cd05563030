import { spawnSync } from 'node:child_process'
import {
  chmod,
  chown,
  lchown,
  lstat,
  mkdir,
  open,
  rename,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { readBounded, readIfThere, readOnce } from '../../../src/system/read-file.ts'
import { pathFaults } from '../../../src/system/trusted-path.ts'
import { readOwn } from '../../../src/system/own-file.ts'
import { scratchDirectory } from '../../support/scratch.ts'

let directory: string
beforeEach(async () => {
  directory = await scratchDirectory()
})

const at = (name: string): string => join(directory, name)
const limits = { maxBytes: 1000 }
const pipe = (path: string): void => void spawnSync('mkfifo', [path])

describe('a file of somebody else', () => {
  test('is read to its end', async () => {
    await writeFile(at('a'), 'x'.repeat(1000))
    expect(await readBounded(at('a'), limits)).toHaveLength(1000)
    await writeFile(at('a'), '')
    expect(await readBounded(at('a'), limits)).toBe('')
    expect(await readIfThere(at('b'), limits)).toBeUndefined()
  })

  test('of the kernel, which tells no size, too', async () => {
    expect(await readBounded('/proc/self/status', { maxBytes: 100_000 })).toContain('Uid:')
    await expect(readBounded('/proc/self/status', { maxBytes: 20 })).rejects.toThrow('more than 20 bytes')
  })

  test('that is a pipe is not waited for, nor is anything else that is no file', async () => {
    pipe(at('pipe'))
    await symlink(at('pipe'), at('link'))
    await mkdir(at('directory'))
    const server = createServer().listen(at('socket'))
    for (const name of ['pipe', 'link', 'directory'])
      await expect(readBounded(at(name), limits)).rejects.toMatchObject({ name: 'RefusedFileError' })
    await expect(readBounded(at('socket'), limits)).rejects.toMatchObject({ code: 'ENXIO' })
    await expect(readBounded('/dev/zero', limits)).rejects.toMatchObject({ name: 'RefusedFileError' })
    server.close()
  })

  test('that is larger than it may be is not read at all', async () => {
    await (await open(at('sparse'), 'w')).close()
    await truncate(at('sparse'), 400 * 1024 * 1024 * 1024)
    const before = process.memoryUsage().rss
    for (let times = 0; times < 100; times += 1)
      await expect(readBounded(at('sparse'), limits)).rejects.toThrow('429496729600 bytes, of at most 1000')
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
  })

  test('behind a link is refused where no link belongs', async () => {
    await writeFile(at('a'), 'text')
    await symlink(at('a'), at('link'))
    expect(await readBounded(at('link'), limits)).toBe('text')
    await expect(readBounded(at('link'), { ...limits, follow: false })).rejects.toMatchObject({
      code: 'ELOOP',
    })
  })

  test.each([
    ['belongs to user 7', (path: string) => chown(path, 7, 0)],
    ['mode 0664', (path: string) => chmod(path, 0o664)],
    ['mode 0606', (path: string) => chmod(path, 0o606)],
  ])('gives no rights when it %s', async (reason, spoil) => {
    await writeFile(at('a'), 'text')
    await chmod(at('a'), 0o644)
    expect(await readBounded(at('a'), { ...limits, byRootAlone: true })).toBe('text')
    await spoil(at('a'))
    await expect(readBounded(at('a'), { ...limits, byRootAlone: true })).rejects.toThrow(reason)
    expect(await readBounded(at('a'), limits)).toBe('text')
  })

  test('that is replaced all the while has the facts of what was read', async () => {
    await writeFile(at('good'), 'good')
    await writeFile(at('evil'), 'evil')
    await chown(at('evil'), 7, 7)
    const over = new AbortController()
    const swapped = (async () => {
      for (let turn = 0; !over.signal.aborted; turn += 1) {
        await symlink(at(turn % 2 === 0 ? 'good' : 'evil'), at('new'))
        await rename(at('new'), at('link'))
      }
    })()
    await vi.waitFor(() => lstat(at('link')))
    const seen = new Set<string>()
    for (let times = 0; times < 2000; times += 1) {
      const { facts, bytes } = await readOnce(at('link'), limits)
      seen.add(`${facts.uid} ${bytes?.toString()}`)
    }
    over.abort()
    await swapped
    expect([...seen].toSorted()).toEqual(['0 good', '7 evil'])
  })

  test('that does not answer is given up', async () => {
    await writeFile(at('slow'), '')
    await truncate(at('slow'), 64 * 1024 * 1024)
    const slow = (): Promise<unknown> => readOnce(at('slow'), { maxBytes: 1e9, timeoutMs: 1 })
    const late = expect.objectContaining({ code: 'ETIMEDOUT' })
    expect(await Promise.allSettled([slow(), slow()])).toMatchObject([{ reason: late }, { reason: late }])
    // While two threads of four wait, nobody takes the others.
    await writeFile(at('a'), 'text')
    await expect(readBounded(at('a'), limits)).rejects.toEqual(late)
    await expect.poll(() => readBounded(at('a'), limits).catch(() => ''), { timeout: 30_000 }).toBe('text')
  })
})

describe('a way that others than root decide on', () => {
  test("is one through a directory that is not root's, or that others can write", async () => {
    await mkdir(at('a/b'), { recursive: true })
    await writeFile(at('a/b/c'), '')
    expect(await pathFaults(at('a/b/c'))).toEqual([])
    await chmod(at('a'), 0o775)
    await chown(at('a/b'), 7, 0)
    expect(await pathFaults(at('a/b/c'))).toEqual([
      `lies in ${at('a')}, which can be written by others than root (mode 0775): chmod go-w ${at('a')}`,
      `lies in ${at('a/b')}, which belongs to user 7, not to root: chown root ${at('a/b')}`,
    ])
    await chown(at('a/b'), 0, 0)
  })

  test('is not one through a sticky directory, where nobody takes away what is of root, but by a link of somebody else there', async () => {
    await mkdir(at('a/b'), { recursive: true })
    await writeFile(at('a/b/c'), '')
    await chmod(at('a'), 0o1777)
    expect(await pathFaults(at('a/b/c'))).toEqual([])
    await symlink('b', at('a/theirs'))
    await lchown(at('a/theirs'), 7, 7)
    expect(await pathFaults(at('a/theirs/c'))).toEqual([
      `leads by ${at('a/theirs')}, which belongs to user 7`,
    ])
    await chown(at('a/b'), 7, 7)
    expect(await pathFaults(at('a/b/c'))).toHaveLength(1)
  })

  test('is told where links lead through it, in whatever place', async () => {
    await mkdir(at('open/deep'), { recursive: true })
    await chmod(at('open'), 0o777)
    await mkdir(at('shut'))
    await writeFile(at('shut/x'), '')
    await symlink('../open/deep', at('shut/relative'))
    await symlink(at('open/deep/y'), at('shut/absolute'))
    for (const path of ['shut/relative/y', 'shut/absolute', 'open/deep/../../shut/x'])
      expect(await pathFaults(`${directory}/${path}`), path).toHaveLength(1)
    // Behind the link `..` is the open one, whatever the text seems to say.
    expect(await pathFaults(`${at('shut/relative')}/../x`)).toHaveLength(1)
    expect(await pathFaults(at('shut/x'))).toEqual([])
  })

  test('ends where nothing is, and in circles', async () => {
    await symlink(at('circle'), at('circle'))
    expect(await pathFaults(at('circle'))).toEqual([])
    expect(await pathFaults(at('missing/deeper'))).toEqual([])
  })
})

describe('a file of our own', () => {
  test("is taken out of a directory that is root's alone", async () => {
    await mkdir(at('state'), { mode: 0o700 })
    await writeFile(at('state/a'), 'text', { mode: 0o600 })
    expect(await readOwn(at('state/a'))).toBe('text')
    expect(await readOwn(at('state/b'))).toBeUndefined()
    expect(await readOwn(at('none/b'))).toBeUndefined()
    await chmod(at('state'), 0o770)
    await expect(readOwn(at('state/a'))).rejects.toThrow('chmod go-w')
    await expect(readOwn(at('state/b'))).rejects.toThrow('chmod go-w')
  })
})
