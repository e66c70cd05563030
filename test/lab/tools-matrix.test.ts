import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MeterHost } from './leak/host.ts'
import { faultsOf, read } from './leak/meter.ts'
import { TOOLS_BESIDE } from './leak/tools.ts'
import { hasPodman } from './podman.ts'

/**
 * Other tools that write firewalls, and their usual moves, while containers flood what is forbidden and fetch what is allowed. EMBARGOD_LAB_MATRIX=full
 * waits longer between the moves and makes the same floods without guards, where they have to arrive.
 */
const full = process.env['EMBARGOD_LAB_MATRIX'] === 'full'
const guards = full ? (['embargod', 'nobody'] as const) : (['embargod'] as const)
const possible = TOOLS_BESIDE.filter(({ name }) => name !== 'podman' || hasPodman)

describe.each(guards)('under %s', (guard) => {
  let host: MeterHost | undefined
  beforeAll(async () => {
    host = await MeterHost.start({ guard, rate: guard === 'embargod' ? 3000 : 1000, scale: full ? 1 : 0.2 })
  })
  beforeEach(({ onTestFailed }) => {
    onTestFailed(async () => console.error(await host?.lab.dump(), host?.daemon.logs.slice(-5000)))
  })
  afterAll(() => host?.stop())

  test.each(possible)('$name: $words', async (disturbance) => {
    if (!host) throw new Error('there is no host')
    expect(faultsOf(disturbance, await read(host, disturbance), guard)).toEqual([])
  })
})
