import type { HostInterface, InterfacePort, Peer } from '../system/host.ts'

/** A container with interfaces in some bridges. */
export interface Connected {
  readonly id: string
  /** The host's number of its network namespace; undefined: not known. */
  readonly namespace: number | undefined
  readonly bridges: readonly string[]
}

/** A port whose other end is in another namespace than the host's. */
export type ConnectedPort = InterfacePort & { readonly peer: Peer }

export const isConnected = (port: InterfacePort): port is ConnectedPort => port.peer !== undefined

/**
 * The port of each container in each of its bridges, by {@link portKey}: the one whose other end is in its namespace, which a container
 * cannot choose. Where two ports fit, or two containers are in one namespace, neither gets one.
 */
export function findPorts(
  containers: readonly Connected[],
  interfaces: readonly HostInterface[],
): Map<string, ConnectedPort> {
  const ports = new Map<string, ConnectedPort[]>()
  for (const { name: bridge, ports: those } of interfaces) {
    for (const port of those.filter(isConnected)) {
      const place = `${port.peer.namespace} ${bridge}`
      ports.set(place, [...(ports.get(place) ?? []), port])
    }
  }
  const residents = new Map<number, number>()
  for (const { namespace } of containers)
    if (namespace !== undefined) residents.set(namespace, (residents.get(namespace) ?? 0) + 1)
  const found = new Map<string, ConnectedPort>()
  for (const { id, namespace, bridges } of containers) {
    if (namespace === undefined || residents.get(namespace) !== 1) continue
    for (const bridge of bridges) {
      const [port, ...others] = ports.get(`${namespace} ${bridge}`) ?? []
      if (port !== undefined && others.length === 0) found.set(portKey(id, bridge), port)
    }
  }
  return found
}

export const portKey = (container: string, bridge: string): string => `${container} ${bridge}`
