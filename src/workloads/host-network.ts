import type { Container } from './model.ts'

/** The engine's name for the network of the host. */
export const HOST_NETWORK = 'host'

/** Ids of the containers on the host's network: who joins such a container (`container:ID`) is on it as well. */
export function containersOnHostNetwork(containers: readonly Container[]): ReadonlySet<string> {
  return new Set(containers.filter((one) => isOnHostNetwork(one, containers)).map(({ id }) => id))
}

const isOnHostNetwork = (container: Container, all: readonly Container[]): boolean =>
  namespaceChain(container, all).some(({ networkMode }) => networkMode === HOST_NETWORK)

/** The container, the one whose network namespace it joined, by id or name, the one that this joined, and so on. */
export function namespaceChain(container: Container, all: readonly Container[]): Container[] {
  const chain: Container[] = []
  let current: Container | undefined = container
  while (current && !chain.includes(current)) {
    chain.push(current)
    const target: string | undefined = /^container:(.+)$/.exec(current.networkMode)?.[1]
    current = target === undefined ? undefined : all.find(({ id, name }) => id === target || name === target)
  }
  return chain
}
