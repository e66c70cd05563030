import { expect, test } from 'vitest'
import type { Address } from '../../../src/net/types.ts'
import { ClassNumbers } from '../../../src/policy/class-numbers.ts'
import { assign, type Assignment } from '../../../src/policy/classes.ts'
import { findStrayRoutes, withSeveralRights } from '../../../src/policy/stray-routes.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { configOf } from '../../support/builders.ts'
import { containerJson, networkJson } from '../../support/docker-json.ts'

const network = (name: string, number: number) =>
  networkJson({ Id: name.repeat(8), Name: name, IPAM: { Config: [{ Subnet: `172.${number}.0.0/16` }] } })
const NETWORKS = [network('alpha', 20), network('zeta', 21)]

async function hostWith(yaml: string, running = true): Promise<readonly [Assignment, string[]]> {
  const endpoint = (name: string, number: number) => ({
    NetworkID: name.repeat(8),
    IPAddress: `172.${number}.0.2`,
    MacAddress: '02:42:ac:14:00:02',
  })
  const container = containerJson({
    id: 'c1',
    name: 'web',
    running,
    network: { Networks: { alpha: endpoint('alpha', 20), zeta: endpoint('zeta', 21) } },
  })
  const { value } = parseInventory({ networks: NETWORKS, containers: [container] })
  const rights = assign(await configOf(yaml), value, new ClassNumbers())
  if (!rights) throw new Error('no policies')
  return [rights, [...withSeveralRights(rights).keys()]]
}

const leavesBy = (rights: Assignment, ...gateways: string[]) =>
  findStrayRoutes(
    rights,
    parseInventory({ networks: NETWORKS, containers: [] }).value.networks,
    new Map([['c1', gateways as Address[]]]),
  ).map(({ network: name, lost }) => [name, lost.map(({ policy }) => policy)])

const ON_ZETA = 'policies: { pay: { match: { network: zeta }, allow: [pay.example] } }'

test('who leaves by a network without the rights of another one', async () => {
  const [rights, asked] = await hostWith(ON_ZETA)
  expect(asked).toEqual(['c1'])
  expect(leavesBy(rights, '172.20.0.1')).toEqual([['alpha', ['pay']]])
  expect(leavesBy(rights, '172.21.0.1')).toEqual([])
  // One family by the one, the other by the other.
  expect(leavesBy(rights, '172.21.0.1', '172.20.0.1')).toEqual([['alpha', ['pay']]])
  expect(leavesBy(rights, '192.0.2.1')).toEqual([])
  expect(leavesBy(rights)).toEqual([])
})

test('nobody is asked who has the same rights everywhere, or does not run', async () => {
  const named = 'policies: { pay: { match: { container: web }, allow: [pay.example] } }'
  expect((await hostWith(named))[1]).toEqual([])
  expect((await hostWith(ON_ZETA, false))[1]).toEqual([])
})
