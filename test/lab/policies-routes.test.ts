import { expect, test } from 'vitest'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'

/** The engine moves the default route of a container to another network when one is connected, and with it go the rights. */
const lab = useLab({ name: 'policies-routes' })

const COMMON = origin('203.0.113.10')
const OF_ZETA = origin('203.0.113.20')
const CONFIG = `
denyWith: reject
allow: [{ cidr: 203.0.113.10, ports: [80/tcp] }]
policies:
  zeta: { match: { network: zeta }, allow: [{ cidr: 203.0.113.20, ports: [80/tcp] }] }
  named: { match: { container: named }, allow: [{ cidr: 203.0.113.20, ports: [80/tcp] }] }
`

const strayRoutes = async (): Promise<unknown> =>
  JSON.parse((await lab().cli(['status', '--json'])).stdout).strayRoutes

test('status says of whom, since when and until it is over', async () => {
  const [zeta, alpha] = [await lab().network('zeta'), await lab().network('alpha')]
  await lab().network('zulu')
  await lab().daemon({ config: CONFIG })
  const moved = await lab().container({ name: 'moved', network: 'zeta' })
  const named = await lab().container({ name: 'named', network: 'zulu' })
  const reaches = async (container: typeof moved) =>
    (await reached(container, [COMMON, OF_ZETA], { seconds: 2 })).length
  await lab().waitFor(
    'both have their rights',
    async () => (await reaches(moved)) + (await reaches(named)) === 4,
  )
  expect(await strayRoutes()).toEqual([])

  for (const { id } of [moved, named]) await alpha.connect({ Container: id })
  await lab().waitFor('it is told', async () => JSON.stringify(await strayRoutes()).includes('moved'))
  expect(await strayRoutes()).toEqual([
    { container: 'moved', network: 'alpha', lost: [{ policy: 'zeta', network: 'zeta' }] },
  ])
  expect((await lab().cli(['status'])).stdout).toMatch(
    /LEAVING BY ANOTHER NETWORK\n[^]*moved +alpha +zeta \(zeta\)/,
  )
  await lab().waitFor(
    'one has lost them, one has not',
    async () => [await reaches(moved), await reaches(named)].join() === '1,2',
  )

  await zeta.disconnect({ Container: moved.id })
  await zeta.connect({ Container: moved.id })
  expect(await reaches(moved)).toBe(1)
  await alpha.disconnect({ Container: moved.id })
  await lab().waitFor('it is over', async () => ((await strayRoutes()) as unknown[]).length === 0)
  await lab().waitFor('it has its rights again', async () => (await reaches(moved)) === 2)
})
