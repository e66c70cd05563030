import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  applyWarmStart,
  ELEMENTS_FILE,
  isCurrent,
  makeWarmStart,
  savedWarmStart,
} from '../../../src/state/warm-start.ts'
import { driversOf, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'
import { scratchDirectory } from '../../support/scratch.ts'

const HOUR = 3_600_000
const UNTIL = '203.0.113.1'
const LASTS = '203.0.113.2'

/** What an element has left in a kernel that was filled so much later. */
async function afterBoot(laterMs: number) {
  const nowMs = Date.now()
  const until = new Date(nowMs + HOUR).toISOString()
  const before = new FakeKernel()
  before.nowMs = nowMs
  const { desired } = await TestFirewall.start(before, {
    yaml: `allow: [{ cidr: ${UNTIL}, until: '${until}' }, { cidr: ${LASTS} }]\n`,
  })
  const directory = await scratchDirectory()
  const warm = await makeWarmStart(
    directory,
    desired.dataplane(),
    desired.membership,
    [{ file: '/etc/x.yaml', text: '' }],
    desired.policies,
  )
  const saved = savedWarmStart.schema.parse(JSON.parse(JSON.stringify(warm)))
  const kernel = new FakeKernel()
  kernel.nowMs = nowMs + laterMs
  const drivers = driversOf(kernel)
  // The fake reads no files.
  drivers.ipset.writeFile = async (path) =>
    drivers.ipset.write((await readFile(path, 'utf8')).trim().split('\n'))
  const { filled } = await applyWarmStart(directory, saved, drivers, () => kernel.nowMs)
  await filled
  const set = [...kernel.sets.all.keys()].find((name) => /^embargod-common-.*-4$/.test(name)) ?? ''
  const left = Array.from(kernel.sets.set(set).elements, ([element, { expiresAtMs }]) => [
    element,
    (expiresAtMs - kernel.nowMs) / 1000,
  ])
  const file = await readFile(join(directory, ELEMENTS_FILE), 'utf8')
  return { left: Object.fromEntries(left) as Record<string, number>, file, saved, nowMs }
}

test('after a boot what ends has the time that is left of it, whenever it was saved', async () => {
  const { left, file } = await afterBoot(HOUR / 2)
  expect(left[LASTS]).toBe(86_400)
  expect(left[UNTIL]).toBe(1_800)
  expect(file).not.toContain(UNTIL)
})

test('after its end it does not come back', async () => {
  const { left, saved, nowMs } = await afterBoot(HOUR)
  expect(left).toEqual({ [LASTS]: 86_400 })
  expect(await isCurrent(saved, '/etc/x.yaml', nowMs + HOUR)).toBe(false)
})
