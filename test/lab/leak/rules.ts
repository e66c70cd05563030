import type { Disturbance, DisturbedHost } from './disturbance.ts'

/** What people and tools do to rules and sets. */

const FAMILIES = ['iptables', 'ip6tables'] as const

/** The same for both families; a chain that an engine does not have for IPv6 is passed over. */
async function both(host: DisturbedHost, ...args: readonly string[]): Promise<void> {
  for (const tool of FAMILIES) await host.lab.host([tool, ...args], { okExitCodes: [1] })
}

/** Both families, one and the other, then what embargod makes of it. */
const rulesOnce =
  (...args: readonly string[]) =>
  async (host: DisturbedHost): Promise<void> => {
    await both(host, ...args)
    await host.whole()
  }

export const flushDockerUser: Disturbance = {
  name: 'flush-docker-user',
  words: '`iptables -F DOCKER-USER`',
  run: rulesOnce('-F', 'DOCKER-USER'),
}

export const RULES: readonly Disturbance[] = [flushDockerUser]
