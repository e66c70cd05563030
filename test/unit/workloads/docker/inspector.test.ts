import { expect, test } from 'vitest'
import type { DockerApi } from '../../../../src/workloads/docker/api.ts'
import { Inspector } from '../../../../src/workloads/docker/inspector.ts'
import { InventoryCache } from '../../../../src/workloads/docker/inventory-cache.ts'
import { containerJson, networkJson } from '../../../support/docker-json.ts'

/** An engine that answers the questions of the test, each when the test says so. */
function engineWith(answers: Partial<DockerApi>) {
  const unasked = () => Promise.reject(new Error('not expected to be asked'))
  const api: DockerApi = {
    version: unasked,
    info: unasked,
    networks: unasked,
    network: unasked,
    containerIds: unasked,
    container: unasked,
    containerInList: unasked,
    image: unasked,
    events: unasked,
    close: () => undefined,
    ...answers,
  }
  const cache = new InventoryCache()
  const inspector = new Inspector(api, cache)
  const names = () => cache.snapshot().containers.map(({ name }) => name)
  return { cache, inspector, names }
}

test('an answer to a question from before a rename does not bring the old name back', async () => {
  let answer: (json: unknown) => void = () => undefined
  const { inspector, names } = engineWith({
    container: () => new Promise<unknown>((resolve) => (answer = resolve)),
  })
  const reading = inspector.readContainer('c1')
  inspector.rename('c1', 'new')
  answer(containerJson({ id: 'c1', name: 'old' }))
  await reading
  expect(names()).toEqual(['new'])
})

test('an answer to a question from after a rename counts, and so it does once the container is gone', async () => {
  const { inspector, names } = engineWith({
    container: async () => containerJson({ id: 'c1', name: 'current' }),
  })
  inspector.rename('c1', 'earlier')
  await inspector.readContainer('c1')
  expect(names()).toEqual(['current'])
})

test('what the list says is no news of a container that was inspected meanwhile', async () => {
  const { inspector, names, cache } = engineWith({
    containerInList: async () => containerJson({ id: 'c1', name: 'listed', running: false }),
    container: async () => containerJson({ id: 'c1', name: 'inspected' }),
  })
  const listed = inspector.readListed('c1')
  cache.putContainer('c1', containerJson({ id: 'c1', name: 'inspected' }))
  await listed
  expect(names()).toEqual(['inspected'])
})

test('a listing with a network that has no name is refused whole', async () => {
  const { inspector, cache } = engineWith({
    info: async () => ({}),
    version: async () => ({}),
    networks: async () => [networkJson(), networkJson({ Id: 'n2', Name: '' })],
  })
  await expect(inspector.listNetworks()).rejects.toThrow('one of them has no id or no name')
  expect(cache.snapshot().networks).toEqual([])
})
