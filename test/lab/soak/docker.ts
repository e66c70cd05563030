import type { Action } from './action.ts'

const MOST_NETWORKS = 6
const MOST_CONTAINERS = 8
let numbered = 0

/** Networks and containers come and go. */
export const DOCKER: readonly Action[] = [
  {
    name: 'network-created',
    weight: 6,
    possible: ({ networks }) => networks.size < MOST_NETWORKS,
    run: async ({ lab, networks }, random) => {
      const name = `soak-${(numbered += 1)}`
      const ipv6 = random.below(2) === 0
      const own = random.below(2) === 0 ? { bridge: `br-own-${numbered}` } : {}
      await lab.network(name, { ipv6, ...own })
      networks.set(name, { ipv6 })
    },
  },
  {
    name: 'network-removed',
    weight: 5,
    possible: ({ networks }) => networks.size > 0,
    run: async ({ lab, networks, containers }, random) => {
      const name = random.pick([...networks.keys()])
      for (const [container, network] of containers) {
        if (network !== name) continue
        await container.stop()
        containers.delete(container)
      }
      await lab.docker.getNetwork(name).remove()
      networks.delete(name)
    },
  },
  {
    name: 'container-started',
    weight: 8,
    possible: ({ containers }) => containers.size < MOST_CONTAINERS,
    run: async ({ lab, networks, containers }, random) => {
      const network = random.pick(['bridge', 'shop', 'lan', ...networks.keys()])
      const ipv6 = random.below(2) === 0 && (networks.get(network)?.ipv6 ?? true)
      // Of the flooded range, so that what comes through from its first instruction on is counted.
      const dst = ipv6 ? '2001:db8:f::19:9:1' : '198.19.9.1'
      const cmd = `sender flood --proto=udp --dst=${dst} --rate=20 --seconds=3600`.split(' ')
      containers.set(await lab.container({ network, cmd, restart: 'always' }), network)
    },
  },
  {
    name: 'container-stopped',
    weight: 7,
    possible: ({ containers }) => containers.size > 0,
    run: async ({ containers }, random) => {
      const container = random.pick([...containers.keys()])
      await container.stop()
      containers.delete(container)
    },
  },
  {
    name: 'container-restarted',
    weight: 3,
    possible: ({ containers }) => containers.size > 0,
    run: async ({ containers }, random) => random.pick([...containers.keys()]).restart(),
  },
  {
    name: 'container-connected',
    weight: 3,
    possible: ({ networks, containers }) => networks.size > 0 && containers.size > 0,
    run: async ({ containers, networks }, random) => {
      const container = random.pick([...containers.keys()])
      const network = random.pick([...networks.keys()])
      if (containers.get(container) === network) return
      await container.connectTo(network)
      await container.disconnectFrom(network)
    },
  },
]
