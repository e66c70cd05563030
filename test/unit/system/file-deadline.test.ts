import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { readBounded } from '../../../src/system/read-file.ts'
import { writeAtomically } from '../../../src/system/atomic-file.ts'
import { inTime } from '../../../src/system/file-deadline.ts'
import { scratchDirectory } from '../../support/scratch.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** Work that ends when told. */
function hangs() {
  let end = (): void => undefined
  const work = new Promise<void>((resolve) => (end = resolve))
  return { work: () => work, end }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('work on files that does not end is given up, and two that hang keep a third from beginning', async () => {
  const [first, second] = [hangs(), hangs()]
  const both = Promise.allSettled([
    inTime('listing /a', first.work),
    inTime('looking at /b', second.work, 2_000),
  ])
  await vi.advanceTimersByTimeAsync(5_000)
  const [one, two] = await both
  expect(one).toMatchObject({ reason: { code: 'ETIMEDOUT', message: 'listing /a: no answer within 5 s' } })
  expect(two).toMatchObject({ reason: { message: 'looking at /b: no answer within 2 s' } })
  let begun = false
  const third = inTime('reading /c', async () => void (begun = true))
  await expect(third).rejects.toMatchObject({
    code: 'ETIMEDOUT',
    message: 'reading /c: other files do not answer',
  })
  expect(begun).toBe(false)
  first.end()
  second.end()
  await settled()
  expect(await inTime('reading /c', async () => 'text')).toBe('text')
})

test('what the kernel makes up is read whatever hangs', async () => {
  const disks = [hangs(), hangs()]
  const late = disks.map(({ work }) => inTime('reading /a', work).catch(() => 'late'))
  await vi.advanceTimersByTimeAsync(6_000)
  expect(await Promise.all(late)).toEqual(['late', 'late'])
  await expect(inTime('reading /c', async () => 'text')).rejects.toThrow('other files do not answer')
  expect(await readBounded('/proc/self/cgroup', { maxBytes: 4_096 })).toMatch(/^\d+:/)
  for (const disk of disks) disk.end()
})

test('a write that hangs is given up, and no other write of that path begins beside it', async () => {
  const directory = await scratchDirectory()
  const path = join(directory, 'state.json')
  await writeAtomically(path, 'before')
  const disk = hangs()
  const late = writeAtomically(path, 'late', { check: disk.work })
  const told = expect(late).rejects.toThrow(/writing .*: no answer within 10/)
  await settled()
  await vi.advanceTimersByTimeAsync(11_000)
  await told
  await expect(writeAtomically(path, 'next')).rejects.toThrow('an earlier write of it has not ended')
  expect(await readFile(path, 'utf8')).toBe('before')
  disk.end()
  await vi.waitFor(async () => expect(await readFile(path, 'utf8')).toBe('late'))
  await vi.waitFor(() => writeAtomically(path, 'next'))
  expect(await readFile(path, 'utf8')).toBe('next')
})

test('writes of one path take turns: the last one stays', async () => {
  const directory = await scratchDirectory()
  const path = join(directory, 'state.json')
  const texts = Array.from({ length: 20 }, (_, number) => `${number}`.repeat(1000))
  await Promise.all(texts.map((text) => writeAtomically(path, text)))
  expect(await readFile(path, 'utf8')).toBe(texts.at(-1))
  expect(await readdir(directory)).toEqual(['state.json'])
})
