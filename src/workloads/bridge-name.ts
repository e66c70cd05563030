import type { JsonObject } from './json.ts'
import { textOf } from './json.ts'

/** Interface names that may be put into a rule: no wildcard `+`, nothing that a shell or a restore file could misread. */
const USABLE = /^[A-Za-z0-9_.-]{1,15}$/

/** Names that only Docker gives: 12 hex digits of the network's id. */
const GENERATED = /^br-[0-9a-f]{12}$/

export const isUsableInterfaceName = (name: string): boolean => USABLE.test(name)

export const isGeneratedBridgeName = (name: string): boolean => GENERATED.test(name)

/**
 * The bridge interface of a network of the `bridge` driver, as the engine derives it.
 * Not checked: the caller asks {@link isUsableInterfaceName}.
 */
export const bridgeNameOf = (network: {
  readonly id: string
  readonly name: string
  readonly options: JsonObject
}): string => {
  const chosen = textOf(network.options['com.docker.network.bridge.name'])
  if (chosen !== '') return chosen
  if (textOf(network.options['com.docker.network.bridge.default_bridge']) === 'true') return 'docker0'
  if (network.name === 'bridge') return 'docker0'
  if (network.name === 'docker_gwbridge') return 'docker_gwbridge'
  return `br-${network.id.slice(0, 12)}`
}
