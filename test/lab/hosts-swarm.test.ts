import { expect, test } from 'vitest'
import { ALLOWS, heals, holds, isOpen, isWhole, named, statusOf } from './host-kinds.ts'
import { IMAGE } from './image.ts'
import { origin, reached } from './reach.ts'
import { ForeignRules } from './leak/foreign.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { HOST } from './topology.ts'

/**
 * A node of a swarm: what leaves an overlay network leaves by docker_gwbridge, which no event tells of. (Overlay networks carry
 * IPv4 alone here; the routing mesh of published ports needs IPVS, which not every kernel of a test machine has.)
 */
const lab = useLab({ name: 'swarm' })

test('made under guard, a swarm, its overlay network, containers and services on it are closed from the first packet', async () => {
  const { docker } = lab()
  const swarm = { ListenAddr: `${HOST.address}:2377`, AdvertiseAddr: HOST.address, ForceNewCluster: false }
  const overlay = { Name: 'mesh', Driver: 'overlay', Attachable: true }
  await docker.swarmInit(swarm)
  await docker.createNetwork(overlay)
  const unguarded = await lab().container({ network: 'mesh' })
  await isOpen(lab(), unguarded, [4])
  await unguarded.stop()
  await docker.swarmLeave({ force: true })
  await lab().host(['conntrack', '-F'])

  const daemon = await guard(lab(), { config: ALLOWS })
  await docker.swarmInit(swarm)
  await docker.createNetwork(overlay)
  await lab().farEnd.reset()
  const flooding = 'while :; do sender flood --proto=udp --dst=203.0.113.66 --rate=500 --seconds=600; done'
  const service = await docker.createService({
    Name: 'leaky',
    TaskTemplate: { ContainerSpec: { Image: IMAGE, Command: ['sh', '-c', flooding] } },
    Networks: [{ Target: 'mesh' }],
  })
  const from = await inside(lab(), { network: 'mesh' })
  await lab().waitFor(
    'the task of the service runs',
    async () => (await docker.listContainers()).some(({ Names }) => /leaky/.test(Names.join())),
    30_000,
  )
  const engines = await ForeignRules.remember(lab())
  await holds(lab(), from, [4], async () => {
    // The engine puts its rules for docker_gwbridge in place again with every network that it makes.
    const network = await lab().network('passing')
    await network.remove()
    await lab().host(['iptables', '-F', 'FORWARD'])
  })
  await lab().waitFor(
    'its flood is denied',
    async () => {
      const { networks } = await statusOf(lab())
      const bridge = networks.find((one) => one.bridge === 'docker_gwbridge')
      return bridge?.guarded === true && bridge.name === 'docker_gwbridge' && bridge.deniedPackets > 500
    },
    30_000,
  )
  expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
  await engines.restore()
  await heals(lab())
  await isWhole(lab())
  expect(await named(lab(), daemon)).toEqual([])

  await docker.getService(service.id).remove()
})

test('containers on one overlay network have rights of their own', async () => {
  const [common, web] = ['203.0.113.10', '203.0.113.21']
  const daemon = await lab().daemon({
    config: `
denyWith: reject
allow: [{ cidr: ${common}, ports: [80/tcp] }]
policies:
  web: { match: { container: 'web-*' }, allow: [{ cidr: ${web}, ports: [80/tcp] }] }
  mesh: { match: { network: held }, inherit: false }
`,
  })
  const { docker } = lab()
  await docker.createNetwork({ Name: 'held', Driver: 'overlay', Attachable: true })
  const origins = [common, web].map((address) => origin(address))
  const reach = async (network: string, name: string, wanted: readonly string[]) => {
    const from = await lab().container({ network, name })
    await lab().waitFor(
      `${name} reaches ${wanted.join(' ') || 'nothing'}`,
      async () => (await reached(from, origins, { seconds: 2 })).join() === wanted.join(),
    )
  }
  await reach('mesh', 'plain', [origin(common)])
  await reach('mesh', 'web-1', origins)
  await reach('held', 'hermit', [])
  await reach('held', 'web-2', [origin(web)])
  const { stdout } = await lab().cli(['status'])
  expect(stdout).toMatch(/^web-1 +docker_gwbridge +common web +web: container web-\* +yes$/m)
  expect(stdout).toMatch(/^hermit +docker_gwbridge +mesh +mesh: network held +yes$/m)
  expect(stdout).toMatch(/^mixed-bridge +held /m)
  await daemon.term()
})
