import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import type { Flavour } from '../../src/targets/iptables/diff.ts'
import type { LabContainer } from './container.ts'
import { ALLOWS, heals, holds, isOpen, isWhole, named, statusOf } from './host-kinds.ts'
import { importImage } from './image.ts'
import { steadyFlood } from './leaks.ts'
import { insertRules } from './rules.ts'
import { ForeignRules } from './leak/foreign.ts'
import { guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/**
 * Hosts whose `iptables` is the legacy one, and hosts that change over with rules of both in the kernel. The choice is made in
 * the lab's own copy of /etc, as `update-alternatives` makes it on any Debian host.
 */
const lab = useLab({ name: 'legacy', startEngine: false, dockerdFlags: ['--live-restore'] })

const EXTRA = '203.0.113.13'
let from: LabContainer

// Engines restart in here, and a busy machine is no failure.
vi.setConfig({ testTimeout: 240_000 })

beforeAll(async () => {
  await changeTo('legacy')
  await lab().engine.start()
  await importImage(lab().docker)
  await lab().network('shop', { ipv6: true })
  from = await lab().container({ network: 'shop' })
})

async function changeTo(flavour: Flavour): Promise<void> {
  for (const tool of ['iptables', 'ip6tables'])
    await lab().host(['update-alternatives', '--set', tool, `/usr/sbin/${tool}-${flavour}`])
}

const savedIn = async (flavour: Flavour): Promise<readonly string[]> => {
  const tools = ['iptables', 'ip6tables'].map((tool) => `${tool}-${flavour}-save`)
  const texts = await Promise.all(tools.map(async (tool) => (await lab().host([tool])).stdout))
  return texts.flatMap((text) => text.split('\n'))
}
const oursIn = async (flavour: Flavour) => (await savedIn(flavour)).filter((line) => /embargod/i.test(line))
const operatorsIn = async (flavour: Flavour) =>
  (await savedIn(flavour)).filter((line) => line.includes('the operator'))
const sets = async () => (await lab().host(['ipset', 'list', '-n'])).stdout.split('\n')

/** Where the judging chain is reached from. */
const jumpsIn = async (flavour: Flavour): Promise<readonly string[]> =>
  (await oursIn(flavour))
    .filter((line) => line.endsWith(' -j EMBARGOD'))
    .map((line) => line.split(' ')[1] ?? '')

test("an engine on legacy iptables is guarded in legacy's own DOCKER-USER, and drift is repaired", async () => {
  await isOpen(lab(), from)
  const daemon = await guard(lab(), { config: ALLOWS })
  expect((await statusOf(lab())).backend.flavour).toBe('legacy')
  expect((await scrape(lab())).value('build_info', { backend: 'iptables-legacy' })).toBe(1)
  expect(await oursIn('nft')).toEqual([])
  expect((await jumpsIn('legacy'))[0]).toBe('DOCKER-USER')

  await holds(lab(), from)
  const engines = await ForeignRules.remember(lab())
  await holds(lab(), from, [4, 6], async () => {
    for (const number of [1, 2, 3]) {
      const network = await lab().network(`passing${number}`)
      await network.remove()
    }
    for (const tool of ['iptables', 'ip6tables'] as const) await lab().host([tool, '-F', 'FORWARD'])
    await lab().waitFor('the jumps stand again', async () => (await jumpsIn('legacy')).length === 2, 30_000)
  })
  await engines.restore()
  await heals(lab())
  await isWhole(lab())
  expect(await named(lab(), daemon)).toEqual([])
  expect((await lab().cli(['explain', 'shop', '203.0.113.66:443'])).code).toBe(6)
  expect((await lab().cli(['rules'])).stdout).toContain('guarded: docker0')
  await daemon.term()
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  expect(await oursIn('legacy')).toEqual([])
})

test('who changes over takes our rules along: at a restart of the engine, or at the next start of ours', async () => {
  await lab().restartEngine()
  await insertRules(lab(), 4, 'FORWARD', [
    '-s 10.9.9.9/32 -m comment --comment "the operator, in legacy" -j DROP',
  ])
  const inLegacy = await operatorsIn('legacy')
  expect(inLegacy).toHaveLength(1)
  await isOpen(lab(), from)
  const first = await guard(lab(), {
    config: `${ALLOWS}\n  - { cidr: ${EXTRA}, ports: [5432/tcp] }`,
  })
  const before = await sets()
  let flood = await steadyFlood(lab(), from)

  await lab().engine.stop()
  await changeTo('nft')
  await insertRules(lab(), 4, 'FORWARD', [
    '-s 10.9.9.8/32 -m comment --comment "the operator, in nft" -j DROP',
  ])
  const inNft = await operatorsIn('nft')
  await lab().engine.start()
  await lab().waitFor(
    'ours stand in nft, and no longer in legacy',
    async () => (await jumpsIn('nft')).length === 2 && (await oursIn('legacy')).length === 0,
    20_000,
  )
  expect(await flood.stop(), 'packets while the host changed over').toBe(0)
  expect((await statusOf(lab())).backend.flavour).toBe('nft')
  await holds(lab(), from)
  await isWhole(lab())

  flood = await steadyFlood(lab(), from)
  await first.kill()
  await lab().engine.stop()
  await changeTo('legacy')
  await lab().engine.start()
  // Without the port that the first one allowed, so one of its sets has to go, which the old rules still name.
  await guard(lab(), { config: ALLOWS })
  expect(await flood.stop(), 'packets while nobody watched').toBe(0)
  expect((await jumpsIn('legacy')).length).toBe(2)
  expect(await oursIn('nft')).toEqual([])
  await lab().waitFor('the set is gone', async () => (await sets()).length === before.length - 2, 20_000)
  await holds(lab(), from)
  await isWhole(lab())
  expect(await operatorsIn('legacy')).toEqual(inLegacy)
  expect(await operatorsIn('nft')).toEqual(inNft)
})

test("native rules in nft's filter table hinder nobody on legacy; what of ours they lock in is named", async () => {
  await lab().restartEngine()
  const nft = (...args: string[]) => lab().host(['nft', ...args])
  onTestFinished(async () => {
    await nft('delete', 'table', 'ip', 'filter')
  })
  await lab().host(['iptables-nft', '-A', 'FORWARD', '-s', '10.9.9.7', '-j', 'DROP'])
  await nft('add', 'chain', 'ip', 'filter', 'EMBARGOD')
  await nft('add', 'rule', 'ip', 'filter', 'EMBARGOD', 'quota', '5', 'mbytes', 'counter')
  await guard(lab(), { config: ALLOWS, wait: false })
  await lab().waitFor(
    'the locked-in chain is named',
    async () => {
      const { stdout } = await lab().cli(['status', '--json'])
      return /iptables-nft.*cannot be taken away/.test(stdout)
    },
    20_000,
  )
  await holds(lab(), from)
  await nft('flush', 'chain', 'ip', 'filter', 'EMBARGOD')
  await nft('add', 'rule', 'ip', 'filter', 'FORWARD', 'quota', '5', 'mbytes', 'counter')
  await nft('delete', 'chain', 'ip', 'filter', 'EMBARGOD')
  await lab().waitFor('it is well', async () => (await lab().cli(['status'])).code === 0, 20_000)
  await holds(lab(), from)
})
