import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GENERATIONS, generationMark } from '../../../src/dataplane/names.ts'
import { Counters, countersSnapshot } from '../../../src/reconcile/counters.ts'
import { nextGeneration } from '../../../src/reconcile/generation.ts'
import { Totals, totalsSnapshot } from '../../../src/reconcile/totals.ts'
import { dockerRules, TestFirewall, WHOLE } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

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
})

test('generations go from 1 to 255 and round, and only with the rights', () => {
  let generation = { generation: 1, digest: '0' }
  const seen = new Set<number>()
  for (let round = 1; round <= 600; round++) {
    expect(nextGeneration(generation, generation.digest)).toBe(generation)
    generation = nextGeneration(generation, `${round}`)
    expect(generation.generation).toBe((round % GENERATIONS) + 1)
    expect(generationMark(generation.generation)).toBeGreaterThan(0)
    seen.add(generation.generation)
  }
  expect(seen.size).toBe(255)
})

describe('counters', () => {
  test('go on over a rewrite of the rules, rules torn down, and a restart', async () => {
    const kernel = new FakeKernel()
    dockerRules(kernel)
    const names = { 'api.example.com': ['203.0.113.10'] }
    let host = await TestFirewall.start(kernel, { yaml: 'allow: [api.example.com]\n', names })
    let counters = new Counters()
    const book = async () => {
      const read = [...host.firewall.reconciler.known.keys()]
      const { observed } = await host.pass({ ...WHOLE, read })
      const { desired } = host
      counters.readRules(desired.dataplane(), observed.rules)
      counters.readSets(host.firewall.reconciler.known, observed.sets, desired.policies, desired.membership)
      const row = counters
        .ruleCounts(desired.dataplane())
        .find(({ family, rule }) => family === 'ipv4' && rule === 'embargod-judge/reply')
      return {
        packets: row?.packets,
        connections:
          counters.domainCounts(desired.policies).find(({ domain }) => domain === 'api.example.com')
            ?.connections ?? 0,
      }
    }
    const count = (packets: number) => {
      for (const rule of kernel.rules[4].chain('filter', 'EMBARGOD-JUDGE')?.rules ?? [])
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
    const saved = countersSnapshot.parse(JSON.parse(JSON.stringify(counters.snapshot())))
    counters = new Counters()
    counters.restore(saved)
    host = await TestFirewall.start(
      kernel,
      { yaml: 'allow: [api.example.com]\nnever: [203.0.113.99]\n', names },
      host.kept,
    )
    await host.pass()
    count(3)
    expect(await book()).toEqual({ packets: 11, connections: 11 })
  })
})
