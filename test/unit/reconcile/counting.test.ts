import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_MARKS, GENERATIONS, generationMark, type MarkLayout } from '../../../src/config/marks.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Counters, countersSnapshot } from '../../../src/reconcile/counters.ts'
import { misread, nextGeneration, type MarkPattern } from '../../../src/reconcile/generation.ts'
import { Totals, totalsSnapshot } from '../../../src/reconcile/totals.ts'
import { configOf, dockerRules, TestFirewall, WHOLE } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'
import { NOW_MS } from '../config/files.ts'

describe('totals', () => {
  test('never go backwards, whatever the kernel shows and however often we start', () => {
    const step = fc.oneof(
      fc.record({ packets: fc.nat(1000), bytes: fc.nat(100_000) }),
      fc.constant('restart' as const),
    )
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        let totals = new Totals()
        let last = { packets: 0, bytes: 0 }
        for (const one of steps) {
          if (one === 'restart') {
            const saved = totalsSnapshot.parse(JSON.parse(JSON.stringify(totals.snapshot())))
            totals = new Totals()
            totals.restore(saved)
          } else totals.read('key', one)
          const now = totals.of('key')
          expect(now.packets).toBeGreaterThanOrEqual(last.packets)
          expect(now.bytes).toBeGreaterThanOrEqual(last.bytes)
          last = now
        }
      }),
    )
  })

  test('are the sum of what was counted between new starts of the kernel', () => {
    const totals = new Totals()
    for (const packets of [5, 9, 2, 2, 4, 0, 3]) totals.read('key', { packets, bytes: packets * 10 })
    expect(totals.of('key')).toEqual({ packets: 9 + 4 + 3, bytes: 160 })
    expect(totals.of('another')).toEqual({ packets: 0, bytes: 0 })
  })

  test('stay few when what is counted comes and goes, and lose nothing that is there or has just gone', () => {
    const totals = new Totals()
    const one = { packets: 1, bytes: 10 }
    const stays = (key: string) => key.startsWith('stays')
    let most = 0
    for (let number = 0; number < 50_000; number += 1) {
      totals.read(`stays-${number % 100}`, { packets: number, bytes: number })
      totals.read(`goes-${number}`, one)
      totals.tidy(() => [...totals.entries()].map(([key]) => key).filter(stays))
      if (number % 500 === 0) most = Math.max(most, [...totals.entries()].length)
    }
    expect(most).toBeLessThan(5000)
    for (let number = 0; number < 100; number += 1)
      expect(totals.of(`stays-${number}`).packets).toBe(49_900 + number)
    for (let number = 49_000; number < 50_000; number += 1) expect(totals.of(`goes-${number}`)).toEqual(one)
    expect(totals.of('goes-1').packets).toBe(0)
  })
})

test('generations go round, only with the rights, and never look like bits of a packet', () => {
  const packetBits = 0x20000000 | 0x10000000
  let generation = { generation: 1, digest: '0' }
  const seen = new Set<number>()
  for (let round = 1; round <= 600; round++) {
    expect(nextGeneration(generation, generation.digest, DEFAULT_MARKS)).toBe(generation)
    generation = nextGeneration(generation, `${round}`, DEFAULT_MARKS)
    expect(generationMark(DEFAULT_MARKS, generation.generation)).toBeGreaterThan(0)
    expect(generationMark(DEFAULT_MARKS, generation.generation) & ~packetBits).not.toBe(0)
    seen.add(generation.generation)
  }
  expect(seen.size).toBe(GENERATIONS - 3)
  // As an earlier version may have left it.
  expect(nextGeneration({ generation: 32, digest: 'x' }, 'x', DEFAULT_MARKS).generation).toBe(33)
})

describe('a layout of marks that changed', () => {
  const from = (generation: number, marks: Partial<MarkLayout> = {}) => ({
    generation,
    digest: 'x',
    marks: { ...DEFAULT_MARKS, ...marks },
  })
  const reads = (patterns: readonly MarkPattern[], mark: number): boolean =>
    patterns.some((one) => (mark & one.mask) >>> 0 === one.mark)

  test('begins another generation', async () => {
    const digestOf = async (yaml: string) => compile(await configOf(yaml), [], NOW_MS).digest
    const digest = await digestOf('')
    for (const more of ['mark: 0x1000', 'marks: { rights: 0x1ff000 }', 'marks: { hostNetwork: 0x1000 }'])
      expect(await digestOf(`guard: { ${more} }\n`), more).not.toBe(digest)
    expect(nextGeneration(from(5), 'y', DEFAULT_MARKS)).toEqual({ ...from(6), digest: 'y' })
  })

  test('has forgotten whatever it would take for admitted', () => {
    const byRights = misread(from(5), from(6, { rights: 0xff80000 }))
    expect(byRights).toEqual([])
    // Apart: only who bears both.
    const apart = misread(from(5), from(6, { generation: 0x00ff0000 }))
    expect(reads(apart, 0x05060018)).toBe(true)
    for (const mark of [0x05000018, 0x00060018, 0xff000000, 0x04060000])
      expect(reads(apart, mark)).toBe(false)
    // One upon the other: who was only bridged is no admitted one, and the numbers agree or they do not.
    const upon = misread(from(5), from(6, { generation: 0x0ff00000 }))
    expect(reads(upon, 0xff000000)).toBe(true)
    expect(reads(upon, 0x05600000)).toBe(false)
    expect(reads(misread(from(1), from(0x10, { generation: 0x0ff00000 })), 0x01000000)).toBe(true)
  })
})

describe('counters', () => {
  test('go on over a rewrite of the rules, rules torn down, and a restart', async () => {
    const kernel = new FakeKernel()
    dockerRules(kernel)
    const names = { 'api.example.com': ['203.0.113.10'] }
    let host = await TestFirewall.start(kernel, { yaml: 'allow: [api.example.com]\n', names })
    let counters = new Counters()
    const book = async () => {
      const read = [...host.firewall.keepers.sets.known.keys()]
      const { observed } = await host.pass({ ...WHOLE, read })
      const { desired } = host
      counters.readRules(desired.dataplane(), observed.rules)
      counters.readSets(host.firewall.keepers.sets.known, observed.sets, desired, 'common')
      const row = counters
        .ruleCounts(desired.dataplane())
        .find(({ family, rule }) => family === 'ipv4' && rule === 'embargod-reply/reply')
      return {
        packets: row?.packets,
        connections:
          counters.domainCounts(desired.policies).find(({ domain }) => domain === 'api.example.com')
            ?.connections ?? 0,
      }
    }
    const count = (packets: number) => {
      for (const rule of kernel.rules[4].chain('filter', 'EMBARGOD-REPLY')?.rules ?? [])
        if (rule.text.includes('[reply ')) rule.packets += packets
      for (const { elements } of kernel.sets.all.values())
        for (const element of elements.values()) element.packets += packets
    }
    await host.pass()
    count(5)
    expect(await book()).toEqual({ packets: 5, connections: 5 })
    await host.reload('allow: [api.example.com]\nnever: [203.0.113.99]\n')
    await host.pass()
    count(2)
    expect(await book()).toEqual({ packets: 7, connections: 7 })
    kernel.rules[4].tables.clear()
    await host.pass()
    count(1)
    expect(await book()).toEqual({ packets: 8, connections: 8 })
    counters.countRepair('rule', 1_000)
    const saved = countersSnapshot.parse(JSON.parse(JSON.stringify(counters.snapshot())))
    counters = new Counters()
    counters.restore(saved)
    counters.countRepair('rule', 2_000)
    expect(counters.drift).toEqual({ repairs: { rule: 2 }, lastRepairMs: 2_000 })
    host = await TestFirewall.start(
      kernel,
      { yaml: 'allow: [api.example.com]\nnever: [203.0.113.99]\n', names },
      host.kept,
    )
    await host.pass()
    count(3)
    expect(await book()).toEqual({ packets: 11, connections: 11 })
  })

  test('of what is denied go by the policies of the container, and stay when it is gone', async () => {
    const host = await TestFirewall.start(new FakeKernel(), { yaml: 'allow: []\n' })
    const counters = new Counters()
    const show = (
      elements: Readonly<Record<string, readonly [comment: string, packets: number]>>,
      reason = 'policy',
    ) => {
      const set = `embargod-denied-${reason}-4`
      const header = host.firewall.keepers.sets.known.get(set)?.header
      const counts = Object.entries(elements).map(
        ([element, [comment, packets]]) =>
          [element, { expiresAtMs: 0, comment, packets, bytes: packets * 60 }] as const,
      )
      counters.readSets(
        new Map([[set, { header: header!, elements: new Map(counts) }]]),
        [set],
        host.desired,
        'unknown',
      )
    }
    const rows = () =>
      counters
        .deniedCounts(() => 'shop')
        .map(({ policy, reason, packets }) => `${policy} ${reason} ${packets}`)
        .toSorted()
    show({
      '172.18.0.0/16,br-1': ['shop', 3],
      '172.18.0.2,br-1': ['common+web', 5],
      '172.18.0.3,br-1': ['web', 7],
    })
    show({ '172.18.0.0/16,br-1': ['shop', 2] }, 'metadata')
    expect(rows()).toEqual(['common+web policy 5', 'host metadata 2', 'unknown policy 3', 'web policy 7'])
    // The address is somebody else's now, whose counter begins at nothing.
    show({ '172.18.0.0/16,br-1': ['shop', 3], '172.18.0.2,br-1': ['web', 1] })
    expect(rows()).toEqual(['common+web policy 5', 'host metadata 2', 'unknown policy 3', 'web policy 8'])
    const again = new Counters()
    again.restore(countersSnapshot.parse(JSON.parse(JSON.stringify(counters.snapshot()))))
    expect(again.deniedCounts(() => 'shop')).toEqual(counters.deniedCounts(() => 'shop'))
  })

  test('of networks that came and went and addresses that were answered once are not kept for ever', async () => {
    const kernel = new FakeKernel()
    dockerRules(kernel)
    const names = { 'api.example.com': ['203.0.113.10'] }
    const host = await TestFirewall.start(kernel, { yaml: 'allow: [api.example.com]\n', names })
    await host.pass()
    const { known } = host.firewall.keepers.sets
    const allowed = [...known.keys()].find((set) => set.startsWith('embargod-common-') && set.endsWith('-4'))
    const counters = new Counters()
    const show = (set: string, element: string) => {
      const { header } = known.get(set)!
      const counts = { expiresAtMs: 0, comment: '', packets: 1, bytes: 60 }
      const now = new Map([[set, { header, elements: new Map([[element, counts]]) }]])
      counters.readSets(now, [set], host.desired, 'common')
    }
    for (let number = 0; number < 5000; number += 1) {
      show('embargod-denied-policy-4', `10.0.0.0/24,br-${number}`)
      show(allowed!, `10.${number >> 8}.${number & 255}.1`)
    }
    const { denied, deniedBy, elements } = counters.snapshot()
    for (const kept of [denied, deniedBy, elements]) expect(Object.keys(kept).length).toBeLessThan(3500)
    expect(counters.deniedCounts((bridge) => (bridge === 'br-4999' ? 'last' : undefined))).toMatchObject([
      { network: 'last', packets: 1 },
    ])
  })
})
