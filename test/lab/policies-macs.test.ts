import { expect, onTestFinished, test } from 'vitest'
import { Neighbour } from './neighbour.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'

/** Bindings hold for all bridges at once, since not every kernel tells one from another: what is left alone must not feel them. */
const lab = useLab({ name: 'policies-macs' })

const ANYWHERE = '203.0.113.66'
const OF_SHOP = '203.0.113.20'
const CONFIG = `
guard: { except: [lone] }
policies: { shop: { match: { network: shop }, allow: [{ cidr: ${OF_SHOP}, ports: [80/tcp] }] } }
`

test('a hardware address that a container chose cuts nobody on a bridge that is left alone', async () => {
  const mac = '02:42:00:00:77:01'
  await lab().network('shop')
  await lab().network('lone')
  const machine = await Neighbour.behind(lab(), 'virbr7')
  onTestFinished(() => machine.remove())
  await lab().host(machine.enter(['ip', 'link', 'set', 'eth0', 'address', mac]))
  const lone = await lab().container({ network: 'lone', mac })
  await lab().daemon({ config: CONFIG })
  const thief = await lab().container({ network: 'shop', mac })
  await lab().waitFor(
    'it has its rights',
    async () => (await reached(thief, [origin(OF_SHOP)], { seconds: 1 })).length === 1,
  )
  expect(await reached(thief, [origin(ANYWHERE)], { seconds: 1 })).toEqual([])
  expect(await machine.reaches(ANYWHERE, 3)).toBe(true)
  expect(await reached(lone, [origin(ANYWHERE)])).toEqual([origin(ANYWHERE)])

  // One that comes later is spared as soon as the kernel tells of it.
  await lone.stop()
  const later = await lab().container({ network: 'lone', mac })
  await lab().waitFor(
    'it sends',
    async () => (await reached(later, [origin(ANYWHERE)], { seconds: 1 })).length === 1,
  )
})
