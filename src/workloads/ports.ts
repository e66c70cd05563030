import type { HostInterface } from '../system/host.ts'

/** A container that has an interface in some bridges. */
export interface Connected {
  readonly id: string
  /** Numbers of all interfaces in its namespace, as it may have arranged them itself. */
  readonly indexes: ReadonlySet<number>
  readonly bridges: readonly string[]
}

/**
 * The port of each container in each of its bridges, by `id bridge`. The kernel says of a port which number its other end has; and a container
 * which numbers its interfaces have. A container that may make interfaces can have any number: where two could be meant, or two containers
 * claim one port, or the ports of one lie in two namespaces, nobody gets it.
 */
export function findPorts(
  containers: readonly Connected[],
  interfaces: readonly HostInterface[],
): Map<string, string> {
  const byIndex = new Map<number, { name: string; bridge: string; namespace: number }[]>()
  for (const { name: bridge, ports } of interfaces) {
    for (const { name, peer } of ports) {
      if (!peer) continue
      const port = { name, bridge, namespace: peer.namespace }
      byIndex.set(peer.index, [...(byIndex.get(peer.index) ?? []), port])
    }
  }
  const found = new Map<string, string>()
  const claims = new Map<string, string[]>()
  for (const container of containers) {
    const candidates = [...container.indexes]
      .flatMap((index) => byIndex.get(index) ?? [])
      .filter(({ bridge }) => container.bridges.includes(bridge))
    if (new Set(candidates.map(({ namespace }) => namespace)).size > 1) continue
    for (const bridge of container.bridges) {
      const [port, ...others] = candidates.filter((one) => one.bridge === bridge)
      if (!port || others.length > 0) continue
      const key = `${container.id} ${bridge}`
      found.set(key, port.name)
      claims.set(port.name, [...(claims.get(port.name) ?? []), key])
    }
  }
  for (const claimants of claims.values())
    if (claimants.length > 1) for (const key of claimants) found.delete(key)
  return found
}

/** `/proc/PID/net/igmp`: the numbers of a process's interfaces, readable without any right over the process. */
export function parseInterfaceIndexes(text: string): Set<number> {
  return new Set([...text.matchAll(/^(\d+)\t/gm)].map(([, index]) => Number(index)))
}
