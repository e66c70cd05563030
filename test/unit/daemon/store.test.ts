import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { beforeEach, expect, test } from 'vitest'
import { Health } from '../../../src/daemon/health.ts'
import { Store } from '../../../src/daemon/store.ts'
import { createLogger } from '../../../src/observe/logger.ts'
import { scratchDirectory } from '../../support/scratch.ts'

/** What is written, and told, when the disk takes nothing. */
const format = { version: 1, schema: z.string() }
let directory: string
let health: Health
let store: Store
beforeEach(async () => {
  directory = await scratchDirectory()
  health = new Health(() => undefined)
  store = new Store(directory, health, createLogger({ level: 'fatal', pretty: false, color: false }))
})

/** The new file cannot be made beside the old one. */
const block = (name: string) => mkdir(join(directory, `.${name}.json.tmp`, 'x'), { recursive: true })
const unblock = (name: string) => rm(join(directory, `.${name}.json.tmp`), { recursive: true })
const load = (name: string) => store.load(name, format)

test('what is saved stays as it was, what is replaced goes', async () => {
  for (const name of ['a', 'b', 'c']) {
    await store.save(name, 'old', format)
    await block(name)
  }
  await store.save('a', 'new', format)
  await store.replace('b', 'new', format)
  await store.replace('c', 'old', format)
  expect([await load('a'), await load('b'), await load('c')]).toEqual(['old', undefined, 'old'])
  expect(store.problemOf('a')).toContain('a.json')
  expect(store.problemOf('b')).toContain('b.json')
  expect(store.problemOf('c')).toBeUndefined()
  expect(health.problems).toEqual([expect.stringContaining('(and 1 more)')])
})

test('the latest wish alone is tried again', async () => {
  await block('a')
  await store.save('a', 'first', format)
  await store.save('a', 'second', format)
  await unblock('a')
  await store.flush()
  expect(await load('a')).toBe('second')
  expect(health.problems).toEqual([])
  await block('a')
  const slow = store.save('a', 'third', format)
  await unblock('a')
  await Promise.all([slow, store.save('a', 'fourth', format)])
  await store.flush()
  expect(await load('a')).toBe('fourth')
})

test('what is taken away is gone, and may be gone before', async () => {
  await store.save('a', 'x', format)
  await store.remove('a')
  await store.remove('a')
  await new Store(join(directory, 'nowhere'), health, createLogger({ level: 'fatal', pretty: false })).remove(
    'a',
  )
  expect(await load('a')).toBeUndefined()
  expect(health.problems).toEqual([])
})
