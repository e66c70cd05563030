import type { Container } from './model.ts'

/** The engine's name for the network of the host. */
export const HOST_NETWORK = 'host'

/** Ids of the containers on the host's network: who joins such a container (`container:ID`) is on it as well. */
export function containersOnHostNetwork(containers: readonly Container[]): ReadonlySet<string> {
  return new Set(containers.filter((one) => isOnHostNetwork(one, containers)).map(({ id }) => id))
}

function isOnHostNetwork(container: Container, all: readonly Container[]): boolean {
  const seen = new Set<string>()
  let current: Container | undefined = container
  while (current && !seen.has(current.id)) {
    if (current.networkMode === HOST_NETWORK) return true
    seen.add(current.id)
    const target: string | undefined = /^container:(.+)$/.exec(current.networkMode)?.[1]
    current = target === undefined ? undefined : all.find(({ id, name }) => id === target || name === target)
  }
  return false
}
