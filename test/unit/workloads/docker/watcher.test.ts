import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Backoff } from '../../../../src/workloads/docker/backoff.ts'
import { connectDocker } from '../../../../src/workloads/docker/api.ts'
import type { DockerState } from '../../../../src/workloads/docker/updates.ts'
import { DockerWatcher } from '../../../../src/workloads/docker/watcher.ts'
import type { Engine, Inventory } from '../../../../src/workloads/model.ts'
import {
  containerJson,
  defaultBridgeJson,
  ENGINE_29_NFTABLES,
  ENGINE_ROOTLESS,
  networkJson,
  SHOP_ID,
} from '../../../support/docker-json.ts'
import { FakeDocker } from '../../../support/fake-docker.ts'
import { turns } from '../../../support/turns.ts'

let docker: FakeDocker
let watcher: DockerWatcher

/** What the watcher said, in order. */
let states: DockerState[]
let inventories: { readonly inventory: Inventory; readonly engine: Engine }[]
let listedAtMs: number
let networks: string[]
let events: string[]
let problems: string[]

const watch = ({ timeoutMs = 10_000, relistMs = 300_000, coalesceMs = 20 } = {}) => {
  watcher = new DockerWatcher({
    connect: () => connectDocker(docker.socket, timeoutMs),
    backoff: new Backoff({ firstMs: 5, lastMs: 40 }),
    coalesceMs,
    relistMs,
    onUpdate: (update) => {
      if (update.kind === 'state') states.push(update.state)
      else if (update.kind === 'inventory') {
        inventories.push(update)
        listedAtMs = update.listedAtMs
      } else if (update.kind === 'network') networks.push(update.network.name)
      else if (update.kind === 'event') events.push(`${update.type} ${update.action}`)
      else problems.push(update.sentence)
    },
  })
  watcher.start()
}

const latest = () => ({
  networks: inventories
    .at(-1)
    ?.inventory.networks.map((network) => network.name)
    .toSorted(),
  containers: inventories
    .at(-1)
    ?.inventory.containers.map((container) => container.name)
    .toSorted(),
})
const until = (assertion: () => void) => vi.waitFor(assertion, { timeout: 5_000, interval: 5 })
const listed = () => until(() => expect(states.at(-1)).toEqual({ connected: true, error: undefined }))

beforeEach(async () => {
  docker = await FakeDocker.create()
  ;[states, inventories, networks, events, problems] = [[], [], [], [], []]
})

afterEach(async () => {
  await watcher.stop()
  await docker.remove()
  vi.unstubAllEnvs()
})

const filled = () => {
  docker.networks.set('bridge', defaultBridgeJson())
  docker.networks.set(SHOP_ID, networkJson())
  docker.containers.set('c1', containerJson({ id: 'c1', name: 'web' }))
}

describe('connecting', () => {
  test('lists everything, and is connected once it has', async () => {
    filled()
    await docker.appear()
    watch()
    await listed()
    expect(latest()).toEqual({ networks: ['bridge', 'shop_default'], containers: ['web'] })
  })

  test('does not wait for the headers of the event stream', async () => {
    docker.holdEventHeaders = true
    await docker.appear()
    watch()
    await listed()
    docker.addNetwork(networkJson())
    await until(() => expect(latest().networks).toEqual(['shop_default']))
  })

  test.each([
    ['nftables', ENGINE_29_NFTABLES, { firewallBackend: 'nftables' }],
    ['rootless', ENGINE_ROOTLESS, { rootless: true }],
  ])('tells of an engine that is %s', async (_title, engine, facts) => {
    docker.engine = engine
    await docker.appear()
    watch()
    await listed()
    expect(inventories.at(-1)?.engine).toMatchObject(facts)
  })

  test.each(['tcp://203.0.113.9:2375', 'ssh://root@203.0.113.9', 'unix:///nowhere'])(
    'asks the socket of the config, whatever DOCKER_HOST says (%s)',
    async (host) => {
      vi.stubEnv('DOCKER_HOST', host)
      await docker.appear()
      watch()
      await listed()
    },
  )

  test('an absent engine is a state, and it is found when it comes', async () => {
    watch()
    await until(() => expect(states).toHaveLength(1))
    expect(states[0]).toMatchObject({ connected: false, error: expect.stringContaining('ENOENT') })
    expect(inventories).toEqual([])
    filled()
    await docker.appear()
    await listed()
    expect(latest().networks).toEqual(['bridge', 'shop_default'])
  })
})

describe('events', () => {
  beforeEach(async () => {
    filled()
    await docker.appear()
    watch()
    await listed()
    await until(() => expect(docker.listeners).toBe(1))
    networks.length = 0
  })

  test('a new network is told ahead of the inventory that holds it', async () => {
    const before = inventories.length
    docker.addNetwork(networkJson({ Id: 'n2', Name: 'pay' }))
    await until(() => expect(networks).toEqual(['pay']))
    await until(() => expect(inventories.length).toBeGreaterThan(before))
    expect(latest().networks).toContain('pay')
  })

  test('networks and containers that go are gone', async () => {
    docker.removeNetwork(SHOP_ID)
    docker.removeContainer('c1')
    await until(() => expect(latest()).toEqual({ networks: ['bridge'], containers: [] }))
  })

  test('a container that starts, and one that joins a network', async () => {
    docker.addContainer(containerJson({ id: 'c2', name: 'db' }))
    await until(() => expect(latest().containers).toEqual(['db', 'web']))
    docker.containers.set(
      'c1',
      containerJson({ id: 'c1', name: 'web', network: { Networks: { bridge: {}, shop_default: {} } } }),
    )
    docker.emit('network', 'connect', 'bridge', { container: 'c1' })
    await until(() =>
      expect(inventories.at(-1)?.inventory.containers.find(({ id }) => id === 'c1')?.endpoints).toHaveLength(
        2,
      ),
    )
  })

  test('a container that is being started has its place on the network before it can be inspected', async () => {
    docker.containers.set(
      'c2',
      containerJson({ id: 'c2', name: 'db', running: false, network: { Networks: {} } }),
    )
    docker.faults.set('/containers/c2/json', 'hang')
    docker.networks.set(
      SHOP_ID,
      networkJson({
        Containers: {
          c2: {
            Name: 'db',
            MacAddress: '02:42:AC:12:00:03',
            IPv4Address: '172.18.0.3/16',
            IPv6Address: 'fd00::3/64',
          },
        },
      }),
    )
    docker.emit('network', 'connect', SHOP_ID, { container: 'c2' })
    await until(() =>
      expect(inventories.at(-1)?.inventory.containers.find(({ id }) => id === 'c2')).toMatchObject({
        name: 'db',
        pid: undefined,
        labels: { 'com.docker.compose.project': 'shop' },
        endpoints: [
          {
            networkId: SHOP_ID,
            networkName: 'shop_default',
            mac: '02:42:ac:12:00:03',
            addresses: ['172.18.0.3', 'fd00::3'],
          },
        ],
      }),
    )
    docker.release()
  })

  test('a port that is connected shows who will be there, before any event says so', async () => {
    docker.containers.set(
      'c2',
      containerJson({ id: 'c2', name: 'db', running: false, network: { Networks: {} } }),
    )
    docker.emit('container', 'create', 'c2')
    await until(() => expect(latest().containers).toEqual(['db', 'web']))
    docker.networks.set(
      SHOP_ID,
      networkJson({
        Containers: {
          c1: { MacAddress: '02:42:AC:12:00:09', IPv4Address: '172.18.0.9/16' },
          c2: { MacAddress: '02:42:AC:12:00:03', IPv4Address: '172.18.0.3/16' },
          c3: { MacAddress: '02:42:AC:12:00:04', IPv4Address: '172.18.0.4/16' },
        },
      }),
    )
    const endpointsOf = (container: string) =>
      inventories.at(-1)?.inventory.containers.find(({ id }) => id === container)?.endpoints
    const before = endpointsOf('c1')
    watcher.lookAtPorts(SHOP_ID)
    await until(() => expect(endpointsOf('c2')).toMatchObject([{ addresses: ['172.18.0.3'] }]))
    expect(endpointsOf('c1')).toEqual(before)
    expect(latest().containers).toEqual(['db', 'web'])
  })

  test('what is learned while everything is being listed is not undone by the list', async () => {
    docker.containers.set('c2', containerJson({ id: 'c2', name: 'db', running: false }))
    docker.faults.set('/containers/c1/json', 'hang')
    const asked = docker.requests.length
    watcher.relist()
    await until(() => expect(docker.requests.slice(asked)).toContain('/containers/c2/json'))
    docker.addNetwork(networkJson({ Id: 'late-id', Name: 'late' }))
    docker.addContainer(containerJson({ id: 'c2', name: 'db' }))
    docker.addContainer(containerJson({ id: 'c3', name: 'queue' }))
    await until(() => expect(latest().containers).toEqual(['db', 'queue', 'web']))
    const before = inventories.length
    docker.release()
    await until(() => expect(inventories.length).toBeGreaterThan(before + 1))
    for (const { inventory } of inventories.slice(before)) {
      expect(inventory.networks.map(({ name }) => name)).toContain('late')
      expect(inventory.containers.map(({ name, running }) => [name, running])).toEqual([
        ['web', true],
        ['db', true],
        ['queue', true],
      ])
    }
  })

  test('of a container on an overlay network the way out is looked up', async () => {
    const mesh = { Id: 'mesh-id', Name: 'mesh', Driver: 'overlay', IPAM: {} }
    docker.networks.set('mesh-id', networkJson({ ...mesh, Labels: { 'embargod.policy': 'mail' } }))
    docker.emit('network', 'create', 'mesh-id')
    const wayOut = (address: string) =>
      docker.networks.set(
        'docker_gwbridge',
        networkJson({
          Id: 'gw-id',
          Name: 'docker_gwbridge',
          Containers: {
            c2: { Name: 'gateway_1', MacAddress: '02:42:AC:13:00:03', IPv4Address: `${address}/16` },
            'ingress-sbox': { IPv4Address: '172.19.0.2/16' },
          },
        }),
      )
    wayOut('172.19.0.3')
    const Networks = {
      mesh: { NetworkID: 'mesh-id', IPAddress: '10.0.1.5', MacAddress: '02:42:0a:00:01:05' },
    }
    docker.addContainer(containerJson({ id: 'c2', name: 'task', network: { Networks } }))
    await until(() =>
      expect(inventories.at(-1)?.inventory.containers.find(({ id }) => id === 'c2')?.endpoints).toMatchObject(
        [
          { networkName: 'mesh', addresses: ['10.0.1.5'] },
          {
            networkId: 'gw-id',
            networkName: 'docker_gwbridge',
            overlays: ['mesh'],
            policyLabels: ['mail'],
            addresses: ['172.19.0.3'],
          },
        ],
      ),
    )
    expect(latest().networks).toContain('docker_gwbridge')

    // It stays known while it is asked for again, and is what the engine then says.
    const placesOf = (container: string) =>
      inventories.at(-1)?.inventory.containers.find(({ id }) => id === container)?.endpoints
    docker.containers.set('c3', containerJson({ id: 'c3', running: false, network: { Networks: {} } }))
    docker.emit('container', 'create', 'c3')
    await until(() => expect(placesOf('c3')).toEqual([]))
    docker.networks.set(SHOP_ID, networkJson({ Containers: { c3: { IPv4Address: '172.18.0.3/16' } } }))
    docker.faults.set('/networks/docker_gwbridge', 'hang')
    const asked = docker.requests.length
    docker.emit('container', 'update', 'c2')
    await until(() => expect(docker.requests.slice(asked)).toContain('/networks/docker_gwbridge'))
    watcher.lookAtPorts(SHOP_ID)
    await until(() => expect(placesOf('c3')).toHaveLength(1))
    expect(placesOf('c2')?.[1]).toMatchObject({ addresses: ['172.19.0.3'] })
    wayOut('172.19.0.4')
    docker.release()
    await until(() => expect(placesOf('c2')?.[1]).toMatchObject({ addresses: ['172.19.0.4'] }))
  })

  test('a burst is told in a few inventories, its networks each at once', async () => {
    const before = inventories.length
    const startedMs = performance.now()
    const names = Array.from({ length: 50 }, (_, index) => `burst${index}`)
    for (const name of names) docker.addNetwork(networkJson({ Id: name, Name: name }))
    await until(() => expect(latest().networks).toHaveLength(52))
    expect(networks.toSorted()).toEqual(names.toSorted())
    // One at once, then no more than one a pause.
    expect(inventories.length - before).toBeLessThanOrEqual(2 + (performance.now() - startedMs) / 20)
  })

  test('a network that is gone before it is inspected is no failure', async () => {
    docker.emit('network', 'create', 'n-gone')
    docker.addNetwork(networkJson({ Id: 'n2', Name: 'pay' }))
    await until(() => expect(latest().networks).toContain('pay'))
    expect(networks).toEqual(['pay'])
    expect(states).toHaveLength(1)
  })

  test('lines cut anywhere, two in one piece, and lines that are no events', async () => {
    const line = (id: string) =>
      `${JSON.stringify({ Type: 'network', Action: 'create', Actor: { ID: id } })}\n`
    docker.networks.set('n1', networkJson({ Id: 'n1', Name: 'jürgen' }))
    docker.networks.set('n2', networkJson({ Id: 'n2', Name: 'second' }))
    docker.emitRaw('no json\n[]\n"text"\n{"Type":"network"}\n\n')
    docker.emitRaw(line('n1').slice(0, 20))
    await turns()
    docker.emitRaw(line('n1').slice(20) + line('n2'))
    // A listing may find them, too.
    await until(() => expect([...new Set(networks)].toSorted()).toEqual(['jürgen', 'second']))
    expect(problems).toEqual(['the engine sent an event that cannot be read: everything is listed again'])
    expect(states).toHaveLength(1)
  })

  describe('what cannot be read is looked for', () => {
    /** Labels of an image can make a line as long as somebody likes. */
    const longLine = (action: string, id: string): string =>
      `${JSON.stringify({ status: action, id, from: 'evil', Type: 'container', Action: action, Actor: { ID: id, Attributes: { x: 'x'.repeat(3_000_000) } } })}\n`

    test('an event that is too long for a line: its container is looked at', async () => {
      docker.containers.set('big', containerJson({ id: 'big', name: 'big' }))
      docker.emitRaw(longLine('start', 'big'))
      await until(() => expect(latest().containers).toContain('big'))
      expect(events).toContain('container start')
      expect(states).toHaveLength(1)
    })

    test.each(['{"Type":"container",\n', 'no json\n', 'x'.repeat(1_500_000)])(
      'a line that tells nothing: everything is listed (%#)',
      async (line) => {
        docker.containers.set('big', containerJson({ id: 'big', name: 'big' }))
        docker.emitRaw(line)
        await until(() => expect(latest().containers).toContain('big'))
      },
    )

    test('a flood of them causes few listings, and the last of them one more', async () => {
      const listings = () => docker.requests.filter((path) => path === '/containers/json').length
      const before = listings()
      for (let i = 0; i < 200; i += 1) {
        docker.emitRaw('no json\n')
        await turns(3)
      }
      docker.containers.set('late', containerJson({ id: 'late', name: 'late' }))
      docker.emitRaw('no json\n')
      await until(() => expect(latest().containers).toContain('late'))
      expect(listings() - before).toBeLessThanOrEqual(3)
    })

    test.each([
      ['is no JSON', 'garbage' as const],
      ['is an error of the engine', 500],
    ])('an inspection that %s: what the list says has to do', async (_title, fault) => {
      docker.faults.set('/containers/c9/json', fault)
      docker.addContainer(containerJson({ id: 'c9', name: 'odd' }))
      await until(() => expect(latest().containers).toContain('odd'))
      expect(states).toHaveLength(1)
    })

    test('a list of networks with one that has no name is no list', async () => {
      docker.networks.set('n9', networkJson({ Id: 'n9', Name: '' }))
      docker.emitRaw('no json\n')
      await until(() => expect(states.at(-1)).toMatchObject({ connected: false }))
      expect(states.at(-1)?.error).toContain('has no id or no name')
    })
  })

  test('each is counted with its bare action', async () => {
    docker.emit('container', 'exec_start: sh -c secret', 'c1')
    docker.emit('daemon', 'reload', 'engine')
    await until(() => expect(events).toEqual(['container exec_start', 'daemon reload']))
  })
})

describe('losing the engine', () => {
  test('what happened while it was gone is found by listing again', async () => {
    filled()
    await docker.appear()
    watch()
    await listed()
    await docker.disappear()
    await until(() => expect(states.at(-1)?.connected).toBe(false))
    docker.networks.set('n2', networkJson({ Id: 'n2', Name: 'pay' }))
    docker.networks.delete(SHOP_ID)
    await docker.appear()
    await listed()
    expect(latest().networks).toEqual(['bridge', 'pay'])
  })

  test('a cut event stream alone leads to a new listing', async () => {
    await docker.appear()
    watch()
    await listed()
    await until(() => expect(docker.listeners).toBe(1))
    docker.networks.set('n2', networkJson({ Id: 'n2', Name: 'missed' }))
    docker.cutConnections()
    await until(() => expect(latest().networks).toEqual(['missed']))
    expect(states.map((state) => state.connected)).toEqual([true, false, true])
  })

  test.each([
    ['answers with an error', 500 as const],
    ['does not answer', 'hang' as const],
    ['dies in the middle of an answer', 'cut' as const],
  ])('an engine that %s to the listing is not an engine without networks', async (_title, fault) => {
    filled()
    docker.faults.set('/networks', fault)
    await docker.appear()
    watch({ timeoutMs: 100 })
    await until(() => expect(states.at(-1)?.connected).toBe(false))
    expect(inventories).toEqual([])
    docker.faults.clear()
    await listed()
    expect(latest().networks).toEqual(['bridge', 'shop_default'])
  })

  test('a container that it has lost track of is known by the list', async () => {
    filled()
    docker.faults.set('/containers/c1/json', 'hang')
    await docker.appear()
    watch({ timeoutMs: 100 })
    await listed()
    expect(latest().containers).toEqual(['web'])
    expect(states).toHaveLength(1)
  })

  test('who runs keeps his process when the engine no longer tells it', async () => {
    filled()
    await docker.appear()
    watch({ timeoutMs: 100 })
    await listed()
    await until(() => expect(docker.listeners).toBe(1))
    docker.faults.set('/containers/c1/json', 'hang')
    docker.containers.set('c1', containerJson({ id: 'c1', name: 'renamed' }))
    docker.emit('container', 'rename', 'c1')
    await until(() => expect(latest().containers).toEqual(['renamed']))
    expect(inventories.at(-1)?.inventory.containers).toMatchObject([{ running: true, pid: 4242 }])
    expect(states).toHaveLength(1)
  })

  test('a new name is known at once: an inspection waits for the start that follows it', async () => {
    await docker.appear()
    watch({ timeoutMs: 5_000 })
    await listed()
    await until(() => expect(docker.listeners).toBe(1))
    docker.containers.set('c2', containerJson({ id: 'c2', name: 'before' }))
    docker.emit('container', 'create', 'c2')
    await until(() => expect(latest().containers).toContain('before'))
    docker.faults.set('/containers/c2/json', 'hang')
    docker.emit('container', 'rename', 'c2', { name: 'after', oldName: '/before' })
    await until(() => expect(latest().containers).toContain('after'))
  })

  test('an engine that hangs later is noticed by the listing that comes of itself', async () => {
    filled()
    await docker.appear()
    watch({ timeoutMs: 100, relistMs: 50 })
    await listed()
    docker.faults.set('/info', 'hang')
    await until(() => expect(states.at(-1)?.connected).toBe(false))
  })
})

describe('an answer that goes on and on', () => {
  const startedBytes = process.memoryUsage().rss

  test('of an inspection is cut off, and the list has to do', async () => {
    filled()
    docker.faults.set('/containers/c1/json', 'endless')
    await docker.appear()
    watch()
    await listed()
    expect(latest()).toEqual({ networks: ['bridge', 'shop_default'], containers: ['web'] })
  })

  test('of an image makes the labels of its containers doubtful, and is told', async () => {
    filled()
    docker.containers.set('c2', containerJson({ id: 'c2', name: 'big', Image: 'sha256:1' }))
    docker.faults.set('/images/sha256%3A1/json', 'endless')
    await docker.appear()
    watch()
    await listed()
    expect(latest().containers).toEqual(['big', 'web'])
    const big = inventories.at(-1)?.inventory.containers.find(({ name }) => name === 'big')
    expect(big).toMatchObject({ imageLabels: undefined })
    expect(problems.join()).toContain('the image sha256:1 cannot be read: inspecting an image: the answer is')
    const asked = () => docker.requests.filter((path) => path === '/images/sha256%3A1/json').length
    const before = inventories.length
    docker.addContainer(containerJson({ id: 'c3', name: 'later' }))
    await vi.waitFor(() => expect(inventories.length).toBeGreaterThan(before))
    expect(latest().containers).toContain('later')
    expect(asked()).toBe(1)
    expect(inventories.at(-1)?.inventory.containers.find(({ name }) => name === 'big')).toMatchObject({
      imageLabels: undefined,
    })
  })

  test.each(['/networks', '/containers/json', '/info'])('of %s is no answer, and is told', async (path) => {
    filled()
    await docker.appear()
    docker.faults.set(path, 'endless')
    watch()
    await until(() => expect(states.at(-1)?.error).toMatch(/the answer is longer than \d+ MiB/))
    expect(states.at(-1)?.connected).toBe(false)
    expect(inventories).toEqual([])
    docker.release()
    await listed()
    expect(process.memoryUsage().rss - startedBytes).toBeLessThan(600 * 1024 * 1024)
  })

  test('of words in an error is told in part', async () => {
    await docker.appear()
    docker.faults.set('/info', 500)
    docker.message = 'x'.repeat(100_000)
    watch()
    await until(() => expect(states.at(-1)?.connected).toBe(false))
    expect(states.at(-1)?.error?.length).toBeLessThan(2_000)
  })
})

test('a network whose event was lost is found by the listing that comes of itself', async () => {
  await docker.appear()
  watch({ relistMs: 50 })
  await listed()
  docker.networks.set('n2', networkJson({ Id: 'n2', Name: 'silent' }))
  await until(() => expect(latest().networks).toEqual(['silent']))
})

test('a listing that was asked for says when it began', async () => {
  await docker.appear()
  watch()
  await listed()
  const askedAtMs = Date.now()
  watcher.relist()
  await until(() => expect(listedAtMs).toBeGreaterThanOrEqual(askedAtMs))
})

test('an event during the first listing is not lost to the older list', async () => {
  docker.containers.set('slow', containerJson({ id: 'slow' }))
  docker.faults.set('/containers/slow/json', 'hang')
  await docker.appear()
  watch({ timeoutMs: 10_000 })
  await until(() => expect(docker.requests).toContain('/containers/slow/json'))
  await until(() => expect(docker.listeners).toBe(1))
  docker.addNetwork(networkJson({ Id: 'n2', Name: 'pay' }))
  await until(() => expect(docker.requests).toContain('/networks/n2'))
  expect([inventories, networks]).toEqual([[], []])
  docker.release()
  await until(() => expect(latest().networks).toEqual(['pay']))
  expect(docker.requests.filter((path) => path === '/networks')).toHaveLength(1)
})

test('stopping ends it at once, while connected and while waiting', async () => {
  await docker.appear()
  watch()
  await listed()
  await watcher.stop()
  const before = docker.requests.length
  await turns()
  expect(docker.requests.length).toBe(before)
  expect(docker.listeners).toBe(0)
})
