import { beforeAll, expect, test } from 'vitest'
import {
  Bystander,
  containerAtItsWorst,
  localUserAtItsWorst,
  nameServerAtItsWorst,
  type Served,
} from './attack/neighbour.ts'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { useLab } from './shared-lab.ts'
import { growth } from './witness.ts'

/**
 * Each hostile seat does its worst for some seconds, while a container beside it asks for a name that is known and fetches a page that is allowed:
 * it loses neither, and the daemon does not grow. How long it waits is reported: on a machine with other work it says little.
 */
const lab = useLab({ name: 'neighbour' })

const SECONDS = Number(process.env['EMBARGOD_LAB_ATTACK_SECONDS'] ?? 5)
const MOST_MIB = 100
const CONFIG = `
dns: { gateway: true, log: none }
allow: [allowed.example, '*.many.example']
verify: { every: never }
`

let daemon: Daemon
let hostile: LabContainer
let bystander: Bystander

beforeAll(async () => {
  await lab().network('shop')
  const quiet = await lab().container({ name: 'quiet', network: 'shop' })
  hostile = await lab().container({ name: 'hostile', network: 'shop', host: { CapDrop: ['ALL'] } })
  daemon = await lab().daemon({ config: CONFIG })
  await hostile.exec(['dig', '+short', 'allowed.example'])
  bystander = await Bystander.start(lab(), quiet, 'allowed.example', '203.0.113.10')
  return async () => {
    await bystander.stop()
    await daemon.kill()
  }
})

test.each<[string, () => Promise<unknown>]>([
  ['a container without capabilities', () => containerAtItsWorst(lab(), hostile, SECONDS)],
  ['a local user', () => localUserAtItsWorst(lab(), SECONDS)],
  ['a name server', () => nameServerAtItsWorst(lab(), hostile, SECONDS)],
])('%s takes nothing from a neighbour', async (seat, attack) => {
  let served: Served | undefined
  let done: unknown
  const grownMib = await growth(daemon, async () => {
    served = await bystander.during(async () => (done = await attack()))
  })
  const figures = { seat, done, grownMib: Math.round(grownMib), ...served }
  console.log(JSON.stringify(figures))
  for (const count of [done].flat()) expect(count, 'attacks that were made').toBeGreaterThan(100)
  expect(served?.dns.asked).toBeGreaterThan(SECONDS * 10)
  expect(served?.pages.asked).toBeGreaterThan(SECONDS * 2)
  expect([served?.dns.lost, served?.pages.lost], JSON.stringify(figures)).toEqual([0, 0])
  expect(grownMib).toBeLessThan(MOST_MIB)
})
