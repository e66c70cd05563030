import type { Container, Inventory } from '../model.ts'

/** What decides from where the embedded DNS server of a container asks on. */
export interface AskerFacts {
  /** As the engine says it: `28.5.2`. Undefined while it has not been heard. */
  readonly engineVersion: string | undefined
  /** Were servers named to the engine, by `--dns` or in daemon.json? Those it asks from the container's network, loopback ones too. */
  readonly isTold: boolean
  /** The host's servers as the engine reads them, loopback ones too. */
  readonly hostServers: readonly string[]
  /** What the engine wrote into this container's resolv.conf. Whoever is in the container can write there too. */
  readonly written: (container: Container) => 'host' | 'container' | undefined
}

/**
 * Names of the networks from which questions leave by the host's own network, each once, in order. The facts of the engine decide, for a container
 * could write anything; its resolv.conf only adds to them: that of a container older than the line in daemon.json says what still holds for it.
 */
export const networksAskedByEngine = (inventory: Inventory | undefined, facts: AskerFacts): string[] => {
  const byFacts = asksFromHost(facts)
  const internal = new Set(inventory?.networks.filter((one) => one.internal).map(({ id }) => id))
  const found = new Set<string>()
  for (const container of inventory?.containers ?? []) {
    // A container's own servers are asked from its own network.
    if (!container.running || container.dns.length > 0) continue
    if (!byFacts && facts.written(container) !== 'host') continue
    const asking = container.endpoints.filter(({ networkName }) => !WITHOUT_EMBEDDED.has(networkName))
    const leading = container.endpoints.filter(({ networkId }) => !internal.has(networkId))
    // Since 26 who has no way out has nobody asked for him either.
    if (leading.length === 0 && majorOf(facts.engineVersion) >= 26) continue
    for (const { networkName } of asking) found.add(networkName)
  }
  return [...found].toSorted()
}

/** On these a container asks by itself. */
const WITHOUT_EMBEDDED: ReadonlySet<string> = new Set(['bridge', 'host', 'none'])

/** Since 28 whatever the host names is asked from the host, before that only what is on the host. */
const asksFromHost = ({ engineVersion, isTold, hostServers }: AskerFacts): boolean =>
  !isTold && (majorOf(engineVersion) >= 28 || hostServers.some((server) => /^127\.|^::1$/.test(server)))

/** An engine that does not tell counts as a new one. */
const majorOf = (version: string | undefined): number => {
  const major = /^(\d+)\./.exec(version ?? '')?.[1]
  return major === undefined ? Number.POSITIVE_INFINITY : Number(major)
}
