import { expect, test } from 'vitest'
import { deniedSet } from '../../../src/dataplane/names.ts'
import type { Cidr } from '../../../src/net/types.ts'
import { dockerRules, planOf, surroundingsOf, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

const hundred = (generation: string) =>
  planOf(
    Array.from({ length: 100 }, (_, index) => ({
      bridge: `br-${generation}${String(index).padStart(11, '0')}`,
      subnets: [`10.${index}.0.0/16`, `fd00:${index}::/64`] as Cidr[],
    })),
  )

/** A set takes 64 interfaces of one address range, and elements are added before others are deleted. */
test('a hundred networks, and a hundred others in their place, are guarded and counted', async () => {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const host = await TestFirewall.start(kernel, { yaml: 'denyWith: drop\n', plan: hundred('a') })
  expect(await host.pass()).toMatchObject({ outcome: 'changed' })
  host.desired.setHostFacts(surroundingsOf({ plan: hundred('b') }))
  expect(await host.pass()).toMatchObject({ outcome: 'changed' })
  const { membership } = host.desired
  expect([...membership.elementsOf(deniedSet('policy', 4))]).toHaveLength(100)
  expect([...membership.elementsOf(deniedSet('forged', 4))]).toHaveLength(32)
  expect(await host.pass()).toMatchObject({ outcome: 'unchanged' })
})
