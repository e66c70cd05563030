import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DISTURBANCES } from './leak/all.ts'
import { MeterHost } from './leak/host.ts'
import { faultsOf, read } from './leak/meter.ts'

/**
 * Whatever is done to the host, nothing forbidden gets out of it and nothing allowed fails: some of the disturbances, made short.
 * `npm run leaks` does all of them, at full length.
 */
const WORST = [
  'networks-20',
  'flush-filter',
  'foreign-accept',
  'engine-kill',
  'daemon-kill',
  'daemon-paused-jump-deleted',
]
const chosen = DISTURBANCES.filter(({ name }) => WORST.includes(name))

describe.each([
  { guard: 'embargod', rate: 6000, title: 'with guards nothing leaks' },
  // The same floods, the same counters: without guards they have to show it.
  { guard: 'nobody', rate: 1000, title: 'without guards everything does' },
] as const)('$title', ({ guard, rate }) => {
  let host: MeterHost | undefined
  beforeAll(async () => {
    host = await MeterHost.start({ guard, rate, scale: 0.25 })
  })
  beforeEach(({ onTestFailed }) => {
    onTestFailed(async () => console.error(await host?.lab.dump(), host?.daemon.logs.slice(-5000)))
  })
  afterAll(() => host?.stop())

  test.each(chosen)('$name: $words', async (disturbance) => {
    if (!host) throw new Error('there is no host')
    expect(faultsOf(disturbance, await read(host, disturbance), guard)).toEqual([])
  })
})

test('every disturbance has a name of its own', () => {
  expect(chosen.map(({ name }) => name).toSorted()).toEqual(WORST.toSorted())
  expect(new Set(DISTURBANCES.map(({ name }) => name)).size).toBe(DISTURBANCES.length)
})
