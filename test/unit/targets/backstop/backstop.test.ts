import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { atBoot, closedGuard } from '../../../../src/targets/backstop/boot.ts'
import { BackstopDriver } from '../../../../src/targets/backstop/driver.ts'
import {
  backstopInSync,
  beforeOf,
  removeBackstop,
  renderBackstop,
} from '../../../../src/targets/backstop/render.ts'
import { concernsUs } from '../../../../src/targets/nftables/monitor.ts'
import { FakeKernel } from '../../../support/fake-kernel.ts'

const backstop = fc.record({
  marks: fc.record({
    approval: fc.integer({ min: 0, max: 31 }).map((shift) => (1 << shift) >>> 0),
    rights: fc.constant(DEFAULT_MARKS.rights),
    generation: fc.constantFrom(0xff000000, 0x00ff0000),
    hostNetwork: fc.constant(DEFAULT_MARKS.hostNetwork),
  }),
  generation: fc.integer({ min: 1, max: 255 }),
  open: fc
    .subarray(['br-lan', 'virbr0', 'lxc.br_0'])
    .map((names) => names.map((name, position) => ({ name, index: 3 + position, isDocker: false }))),
  stacked: fc.subarray(['docker0.7', 'shop.7']),
})
const counters = fc.record({ packets: fc.nat(), bytes: fc.nat(), chainsStand: fc.constant(false) })

describe('the backstop', () => {
  test('once written is in sync with itself and with no other, and keeps its counters', () =>
    fc.assert(
      fc.asyncProperty(backstop, backstop, counters, async (one, other, counted) => {
        const kernel = new FakeKernel()
        const driver = new BackstopDriver(kernel.run)
        await driver.write(renderBackstop(one, counted))
        const saved = await driver.read()
        expect(backstopInSync(one, saved)).toBe(true)
        expect(backstopInSync(other, saved)).toBe(JSON.stringify(one) === JSON.stringify(other))
        expect(saved).toMatchObject({
          droppedPackets: counted.packets,
          droppedBytes: counted.bytes,
        })
      }),
    ))

  test('that is not there is not in sync, and one that cannot be read is an error', async () => {
    const kernel = new FakeKernel()
    const driver = new BackstopDriver(kernel.run)
    expect(await driver.read()).toBeUndefined()
    expect(backstopInSync({ marks: DEFAULT_MARKS, generation: 1, open: [], stacked: [] }, undefined)).toBe(
      false,
    )
    kernel.failNext(/^nft list/)
    await expect(driver.read()).rejects.toThrow('not permitted')
  })

  test.each([
    ['taken off its hook', (text: string) => text.replace(/type filter.*/, '')],
    [
      'with another policy of ours above',
      (text: string) => text.replace('\t\tmeta iifkind', '\t\tmeta mark 1 accept\n\t\tmeta iifkind'),
    ],
    ['with a rule less', (text: string) => text.replace(/.*approved by the rules.*\n/, '')],
  ])('%s is out of sync', async (_, disturb) => {
    const desired = { marks: DEFAULT_MARKS, generation: 3, open: [], stacked: [] }
    const kernel = new FakeKernel()
    const driver = new BackstopDriver(kernel.run)
    await driver.write(renderBackstop(desired))
    kernel.backstop = disturb(kernel.backstop ?? '')
    expect(backstopInSync(desired, await driver.read())).toBe(false)
  })

  test('written again leaves its chains on their hooks, or the kernel would drop what is held', () =>
    fc.assert(
      fc.asyncProperty(backstop, backstop, counters, async (one, other, counted) => {
        const kernel = new FakeKernel()
        const driver = new BackstopDriver(kernel.run)
        await driver.write(renderBackstop(one, counted))
        const text = renderBackstop(other, beforeOf(await driver.read()))
        expect(text).not.toContain('delete')
        await driver.write(text)
        const saved = await driver.read()
        expect(backstopInSync(other, saved)).toBe(true)
        expect(saved).toMatchObject({ droppedPackets: counted.packets, droppedBytes: counted.bytes })
      }),
    ))

  test.each([
    ['taken off its hook', (text: string) => text.replace(/type filter.*/, '')],
    [
      'with a rule of somebody else',
      (text: string) => text.replace('\t\tmeta iifkind', '\t\taccept\n\t\tmeta iifkind'),
    ],
  ])('%s is made anew', async (_, disturb) => {
    const desired = { marks: DEFAULT_MARKS, generation: 3, open: [], stacked: [] }
    const kernel = new FakeKernel()
    const driver = new BackstopDriver(kernel.run)
    await driver.write(renderBackstop(desired))
    kernel.backstop = disturb(kernel.backstop ?? '')
    const text = renderBackstop(desired, beforeOf(await driver.read()))
    expect(text).toContain('delete table')
    await driver.write(text)
    expect(backstopInSync(desired, await driver.read())).toBe(true)
  })

  test('drops what comes from another link of a name that is left alone', async () => {
    const text = renderBackstop({
      marks: DEFAULT_MARKS,
      generation: 1,
      open: [{ name: 'shop0', index: 7, isDocker: true }],
      stacked: [],
    })
    expect(text).toContain('iif { 7 } return')
    expect(text).toContain('iifname { "shop0" } iif != { 7 } drop')
  })

  test('of a boot takes no approval, whatever rules stand', () => {
    const former = { marks: DEFAULT_MARKS, generation: 2 }
    const desired = { marks: DEFAULT_MARKS, generation: 3, former: [former], open: [], stacked: [] }
    expect(renderBackstop(desired)).toMatch(/mark/)
    const text = renderBackstop(closedGuard(desired))
    expect(text).not.toMatch(/mark/)
    expect(text).toMatch(/drop comment "not approved/)
  })

  test('whose input chain is off its hook is out of sync', async () => {
    const open = [{ name: 'shop0', index: 7, isDocker: true }]
    const desired = { marks: DEFAULT_MARKS, generation: 1, open, stacked: [] }
    const kernel = new FakeKernel()
    const driver = new BackstopDriver(kernel.run)
    await driver.write(renderBackstop(desired))
    expect(backstopInSync(desired, await driver.read())).toBe(true)
    kernel.backstop = kernel.backstop?.replace(/type filter hook input.*/, '')
    expect(backstopInSync(desired, await driver.read())).toBe(false)
  })

  test('leaves alone at boot what is not of the engine, by its name: numbers are new then', () => {
    const open = [
      { name: 'shop0', index: 7, isDocker: true },
      { name: 'virbr0', index: 8, isDocker: false },
    ]
    const text = renderBackstop(atBoot({ marks: DEFAULT_MARKS, generation: 1, open, stacked: [] }))
    expect(text).toContain('iifname { "virbr0" } return')
    expect(text).not.toMatch(/shop0|iif \{|input/)
  })

  test('is removed whether or not it is there', async () => {
    const kernel = new FakeKernel()
    const driver = new BackstopDriver(kernel.run)
    await driver.write(removeBackstop())
    await driver.write(renderBackstop({ marks: DEFAULT_MARKS, generation: 1, open: [], stacked: [] }))
    await driver.write(removeBackstop())
    expect(await driver.read()).toBeUndefined()
  })
})

test.each([
  ['delete rule ip filter DOCKER-USER handle 7', true],
  ['add rule ip6 filter FORWARD handle 9', true],
  ['delete rule inet embargod-guard forward handle 4', true],
  ['delete chain ip filter EMBARGOD-JUDGE', true],
  ['delete table ip filter', true],
  ['delete table inet embargod-guard', true],
  ['add rule ip filter DOCKER handle 12', false],
  ['add rule ip nat POSTROUTING handle 3', false],
  ['add element ip x y { 1.2.3.4 }', false],
  ['# new generation 7 by process 1 (nft)', false],
])('the monitor line %s concerns us: %s', (line, expected) => expect(concernsUs(line)).toBe(expected))
