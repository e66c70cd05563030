import { expect, test } from 'vitest'
import { Scrape } from './scrape.ts'
import { CounterWatch } from './soak/counters.ts'
import { trendsOf } from './soak/flat.ts'
import { Random } from './soak/random.ts'
import { asText } from './soak/report.ts'
import type { Sample } from './soak/sample.ts'
import { soak } from './soak/soak.ts'

/** A short soak; `npm run soak` is the long one. */
const SEED = 11

test('a host to which things happen at random leaks nothing, stays as planned and loses no count', async () => {
  const names: string[] = []
  const soaked = await soak({
    seed: SEED,
    minutes: 0.3,
    onStep: (_, done) => names.push(...done),
  })
  expect(soaked.faults, `${names.join(', ')}\n${asText(soaked)}`).toEqual([])
  expect(names.length).toBeGreaterThan(2)
  expect(soaked.tally.leaked).toBe(0)
  // The same flood does arrive while there is no guard, before and after.
  expect(soaked.unguarded.before).toBeGreaterThan(0)
  expect(soaked.unguarded.after).toBeGreaterThan(0)
  expect(soaked.tally.fetched).toBeGreaterThan(0)
  expect(soaked.series).toBeGreaterThan(50)
}, 300_000)

test('a step draws the same numbers again, whatever the steps before it drew', () => {
  const drawn = (seed: number, step: number) => {
    const random = new Random(seed, step)
    return Array.from({ length: 5 }, () => random.below(1000))
  }
  expect(drawn(1, 2)).toEqual(drawn(1, 2))
  expect(drawn(1, 3)).not.toEqual(drawn(1, 2))
  expect(drawn(2, 2)).not.toEqual(drawn(1, 2))
  const random = new Random(1, 1)
  const picked = Array.from({ length: 400 }, () =>
    random.weighted([
      { weight: 1, is: 'rare' },
      { weight: 3, is: 'often' },
    ]),
  )
  const rare = picked.filter(({ is }) => is === 'rare').length
  expect(rare).toBeGreaterThan(50)
  expect(rare).toBeLessThan(150)
})

test('a counter that falls is told, but for one that a new process begins anew', () => {
  const page = (denied: number, passes: number) =>
    new Scrape([
      { name: 'embargod_denied_packets_total', labels: { reason: 'policy', network: 'shop' }, value: denied },
      { name: 'embargod_reconcile_total', labels: {}, value: passes },
    ])
  const watch = new CounterWatch()
  expect(watch.fallen(page(10, 10), 1)).toEqual([])
  expect(watch.fallen(page(11, 9), 1)).toEqual(['embargod_reconcile_total{} fell from 10 to 9'])
  expect(watch.fallen(page(11, 0), 2)).toEqual([])
  expect(watch.fallen(new Scrape([]), 2)).toEqual([])
  expect(watch.fallen(page(5, 0), 3)).toEqual([
    'embargod_denied_packets_total{network=shop,reason=policy} fell from 11 to 5',
  ])
})

const SAMPLE = { pid: 1, rssMb: 100, fds: 30, sockets: 10, children: 3, lagMs: 1, chains: 34, sets: 20 }

test('growth of one process is told, and a process that was replaced has none', () => {
  const samples = (of: (index: number) => Partial<Sample>): Sample[] =>
    Array.from({ length: 12 }, (_, index) => ({
      ...SAMPLE,
      atS: 60 * index,
      ...of(index),
    }))
  const grown = (of: (index: number) => Partial<Sample>) =>
    trendsOf(samples(of))?.flatMap(({ what, flat }) => (flat ? [] : [what]))
  expect(grown(() => ({}))).toEqual([])
  expect(grown((index) => ({ rssMb: 100 + index }))).toEqual([])
  expect(grown((index) => ({ rssMb: 100 + 3 * index, children: index }))).toEqual([
    'resident memory, MB',
    'child processes',
  ])
  expect(grown((index) => ({ fds: 30 + index, lagMs: 5 * index }))).toEqual([
    'file descriptors',
    'event loop delay, ms',
  ])
  // Warming up is no growth.
  expect(grown((index) => ({ rssMb: index < 3 ? 60 : 110, pid: index < 3 ? 1 : 2 }))).toEqual([])
  expect(grown((index) => ({ pid: index }))).toBeUndefined()
  expect(trendsOf(samples(() => ({})).slice(0, 5))).toBeUndefined()
})
