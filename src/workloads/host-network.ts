import type { Container } from './model.ts'
import { namespaceChain } from './namespace-chain.ts'

/** The engine's name for the network of the host. */
export const HOST_NETWORK = 'host'

/** Ids of the containers on the host's network. A container that joins one of them (`container:ID`) is on it as well. */
export function containersOnHostNetwork(containers: readonly Container[]): ReadonlySet<string> {
  return new Set(containers.filter((one) => isOnHostNetwork(one, containers)).map(({ id }) => id))
}

const isOnHostNetwork = (container: Container, all: readonly Container[]): boolean =>
  namespaceChain(container, all).some(({ networkMode }) => networkMode === HOST_NETWORK)
