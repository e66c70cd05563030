import type { Container, Inventory } from '../model.ts'

/** What decides from which network the embedded DNS server of a container forwards questions. */
export interface AskerFacts {
  /** As the engine says it: `28.5.2`. Undefined while it has not answered. */
  readonly engineVersion: string | undefined
  /** Was the engine given servers, by `--dns` or in daemon.json? It asks those from the container's network, loopback ones too. */
  readonly isTold: boolean
  /** The host's servers as the engine reads them, loopback ones too. */
  readonly hostServers: readonly string[]
  /** What the engine wrote into this container's resolv.conf. The container can write to the file, too. */
  readonly written: (container: Container) => 'host' | 'container' | undefined
}

/**
 * Names of the networks whose questions leave by the host's own network, each once, in order. The facts of the engine decide, since a container
 * can write anything into its resolv.conf. The file can only add a network: for a container that is older than the line in daemon.json, the file
 * says what still holds.
 */
export const networksAskedByEngine = (inventory: Inventory | undefined, facts: AskerFacts): string[] => {
  const byFacts = asksFromHost(facts)
  const internal = new Set(inventory?.networks.filter((one) => one.internal).map(({ id }) => id))
  const found = new Set<string>()
  for (const container of inventory?.containers ?? []) {
    // The servers of a container's own `--dns` are asked from its own network.
    if (!container.running || container.dns.length > 0) continue
    if (!byFacts && facts.written(container) !== 'host') continue
    const asking = container.endpoints.filter(({ networkName }) => !WITHOUT_EMBEDDED.has(networkName))
    const leading = container.endpoints.filter(({ networkId }) => !internal.has(networkId))
    // Since 26 the engine does not ask for a container without a way out.
    if (leading.length === 0 && majorOf(facts.engineVersion) >= 26) continue
    for (const { networkName } of asking) found.add(networkName)
  }
  return [...found].toSorted()
}

/** On these networks a container asks by itself. */
const WITHOUT_EMBEDDED: ReadonlySet<string> = new Set(['bridge', 'host', 'none'])

/** Since 28 the host's servers are asked from the host's network; before that only loopback servers were. */
const asksFromHost = ({ engineVersion, isTold, hostServers }: AskerFacts): boolean =>
  !isTold && (majorOf(engineVersion) >= 28 || hostServers.some((server) => /^127\.|^::1$/.test(server)))

/** An engine without a known version counts as a new one. */
const majorOf = (version: string | undefined): number => {
  const major = /^(\d+)\./.exec(version ?? '')?.[1]
  return major === undefined ? Number.POSITIVE_INFINITY : Number(major)
}
