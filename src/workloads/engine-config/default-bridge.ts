import type { Address } from '../../net/types.ts'
import type { HostInterface } from '../../system/host.ts'

/**
 * The host's IPv4 address on the engine's default bridge. Every container can route to it, and no resolver outside the host has it. Undefined where
 * there is no such bridge.
 */
export const defaultBridgeAddress = (interfaces: readonly HostInterface[]): Address | undefined =>
  interfaces.find(({ name }) => name === 'docker0')?.addresses.find((address) => !address.includes(':'))
