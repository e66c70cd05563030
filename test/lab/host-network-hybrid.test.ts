import { expect, test } from 'vitest'
import type { Unprotected } from '../../src/workloads/model.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'

/** Where the tree of control groups is not that of version 2 alone nobody can be held on the host's network: that is said. */
const lab = useLab({ name: 'hybrid' })

test('it says why it cannot, and does all else', async () => {
  const agent = await lab().container({ name: 'agent', network: 'host' })
  const shop = await lab().container({ name: 'shop' })
  await lab().daemon({ config: 'guard: { hostNetwork: true }\nallow: [allowed.example]' })
  const forbidden = origin('203.0.113.66')
  expect(await reached(shop, [forbidden])).toEqual([])
  expect(await reached(agent, [forbidden])).toEqual([forbidden])
  const status = JSON.parse((await lab().cli(['status', '--json'])).stdout)
  const found: Unprotected | undefined = status.unprotected.find(
    ({ reason }: Unprotected) => reason === 'host-network',
  )
  expect(found).toMatchObject({ subject: 'agent', advice: expect.stringContaining('no pure cgroup v2') })
  const { code, stdout } = await lab().cli(['explain', 'agent', '203.0.113.66:80'])
  expect(code).toBe(0)
  expect(stdout).toContain('not held')
  expect((await lab().host(['nft', 'list', 'tables'])).stdout).not.toContain('embargod-hostnet')
})
