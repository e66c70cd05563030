import type { LabContainer } from '../container.ts'
import type { Disturbance, DisturbedHost } from './disturbance.ts'

/** What Docker does all day. */
export const NETWORKS: readonly Disturbance[] = [
  {
    name: 'networks-20',
    words: '20 networks created and removed',
    run: (host) => createAndRemove(host, 20),
  },
  {
    name: 'networks-200',
    words: '200 networks created and removed',
    run: (host) => createAndRemove(host, 200),
  },
  {
    name: 'containers-50',
    words: '50 containers started at once, each flooding from its first instruction',
    run: async ({ lab, scale }) => {
      const cmd = 'sender flood --proto=udp --dst=198.19.9.1 --rate=50 --seconds=60'.split(' ')
      const cmd6 = 'sender flood --proto=udp --dst=2001:db8:f::19:9:1 --rate=50 --seconds=60'.split(' ')
      const starting = Array.from({ length: Math.ceil(50 * scale) }, (_, index) =>
        lab.container({ network: 'shop', cmd: index % 2 === 0 ? cmd : cmd6 }),
      )
      const started = await Promise.allSettled(starting)
      const containers = started.flatMap((one): LabContainer[] =>
        one.status === 'fulfilled' ? [one.value] : [],
      )
      await Promise.all(containers.map((one) => one.stop()))
      const failure = started.find((one) => one.status === 'rejected')
      if (failure) throw new Error('starting containers', { cause: failure.reason })
    },
  },
]

/** Half a dozen at a time: the engine has addresses for some thirty. */
async function createAndRemove({ lab, scale }: DisturbedHost, count: number): Promise<void> {
  const wanted = Math.ceil(count * scale)
  for (let made = 0; made < wanted; made += 6) {
    const names = Array.from({ length: Math.min(6, wanted - made) }, (_, index) => `passing-${made + index}`)
    const networks = []
    for (const name of names) networks.push(await lab.docker.createNetwork({ Name: name, Driver: 'bridge' }))
    for (const network of networks) await network.remove()
  }
}
