import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { describe, expect, it } from 'vitest'
import { StateStore } from '../../../src/state/state-store.ts'
import { scratchDirectory } from '../../support/scratch.ts'

const format = { version: 2, schema: z.strictObject({ addresses: z.array(z.string()) }) }
const value = { addresses: ['198.51.100.7', '2001:db8::1'] }
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

async function store() {
  const directory = join(await scratchDirectory(), 'state')
  return {
    directory,
    store: new StateStore(directory, () => NOW),
    file: join(directory, 'addressStore.json'),
  }
}

describe('StateStore', () => {
  it('brings back what was saved, in a file for our user alone', async () => {
    const { store: state, file, directory } = await store()
    expect(await state.load('addressStore', format)).toEqual({ kind: 'absent' })
    await state.save('addressStore', value, format)
    expect(await new StateStore(directory).load('addressStore', format)).toEqual({
      kind: 'loaded',
      value,
      writtenAtMs: NOW,
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['addressStore.json'])
  })

  it.each([
    ['', 'no JSON'],
    ['{"version":2,"writtenAtMs":1,"body":{"addr', 'no JSON'],
    ['[]', 'no state file'],
    ['{"version":2,"writtenAtMs":1,"body":{"addresses":[7]}}', 'expected string'],
    ['{"version":1,"writtenAtMs":1,"body":{"old":true}}', 'addresses'],
  ])('moves aside %j and can be written again', async (content, detail) => {
    const { store: state, directory, file } = await store()
    await mkdir(directory)
    await writeFile(file, content)
    const loaded = await state.load('addressStore', format)
    const movedTo = join(directory, 'addressStore.corrupt-2026-01-02T030405.000Z')
    expect(loaded).toMatchObject({
      kind: 'corrupt',
      movedTo,
      detail: expect.stringContaining(detail) as string,
    })
    expect(await readFile(movedTo, 'utf8')).toBe(content)
    await state.save('addressStore', value, format)
    expect(await state.load('addressStore', format)).toMatchObject({ kind: 'loaded', value })
  })

  it.each(['after reading it', 'unseen'])(
    'never overwrites the file of a later version (%s)',
    async (seen) => {
      const { store: state, directory, file } = await store()
      const content = '{"version":3,"whatever":"it holds"}'
      await mkdir(directory)
      await writeFile(file, content)
      if (seen === 'after reading it')
        expect(await state.load('addressStore', format)).toEqual({ kind: 'newer', version: 3 })
      await expect(state.save('addressStore', value, format)).rejects.toMatchObject({
        name: 'StateError',
        kind: 'newer',
      })
      expect(await readFile(file, 'utf8')).toBe(content)
    },
  )

  it('says that it may not write, and keeps the old content', async () => {
    const nowhere = new StateStore('/dev/full/state')
    await expect(nowhere.save('addressStore', value, format)).rejects.toMatchObject({ kind: 'unwritable' })
    const { store: state, file, directory } = await store()
    await state.save('addressStore', value, format)
    await mkdir(join(directory, '.addressStore.json.tmp'))
    await expect(state.save('addressStore', { addresses: [] }, format)).rejects.toMatchObject({
      kind: 'unwritable',
    })
    expect(await readFile(file, 'utf8')).toContain('198.51.100.7')
  })

  it('does not take an unreadable file for an absent one', async () => {
    const { store: state, file } = await store()
    await mkdir(file, { recursive: true })
    await expect(state.load('addressStore', format)).rejects.toMatchObject({ name: 'StateError' })
  })
})
