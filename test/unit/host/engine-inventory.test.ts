import { expect, test } from 'vitest'
import { EngineInventory } from '../../../src/host/engine-inventory.ts'
import { parseEngine } from '../../../src/workloads/engine.ts'
import { parseInventory } from '../../../src/workloads/inventory.ts'
import { ENGINE_28, networkJson } from '../../support/docker-json.ts'

const ENGINE = parseEngine(ENGINE_28)
const inventoryOf = (...names: string[]) =>
  parseInventory({
    networks: names.map((name) => networkJson({ Id: `id-${name}`, Name: name })),
    containers: [],
  }).value
const networkOf = (name: string) => {
  const [network] = inventoryOf(name).networks
  if (!network) throw new Error('no network')
  return network
}
const namesIn = (docker: EngineInventory) => docker.inventory?.networks.map(({ name }) => name)

test('a network ahead of the inventory joins it, once, and never stands alone', () => {
  const docker = new EngineInventory()
  docker.addNetwork(networkOf('shop'))
  expect(docker.inventory).toBeUndefined()
  docker.set(inventoryOf('bridge'), ENGINE, 1)
  docker.addNetwork(networkOf('shop'))
  docker.addNetwork(networkOf('shop'))
  expect(namesIn(docker)).toEqual(['bridge', 'shop'])
})

test('tells a new listing from events within the same one', () => {
  const docker = new EngineInventory()
  expect(docker.set(inventoryOf('bridge'), ENGINE, 1_000)).toBe(true)
  expect(docker.set(inventoryOf('bridge', 'shop'), ENGINE, 1_000)).toBe(false)
  expect(docker.set(inventoryOf('bridge'), ENGINE, 2_000)).toBe(true)
})

test('remembers networks to be guarded that are gone', () => {
  const docker = new EngineInventory()
  docker.set(inventoryOf('bridge', 'shop'), ENGINE, 1)
  docker.noteNetworks({ networks: 'all' })
  expect([...docker.seenNetworks]).toEqual([])
  docker.noteNetworks({ networks: ['shop', 'later'] })
  docker.set(inventoryOf('bridge'), ENGINE, 2)
  docker.noteNetworks({ networks: ['shop', 'later'] })
  expect([...docker.seenNetworks]).toEqual(['shop'])
})
