import type { Cidr } from '../net/types.ts'
import type { HostInterface } from '../system/host.ts'
import { isContainersEnd } from './container-end.ts'
import { isGeneratedBridgeName, isUsableInterfaceName } from './bridge-name.ts'
import type { Inventory, Network } from './model.ts'

/** Which interfaces are guarded and which are left open. A bridge in neither list is closed by the backstop. */
export interface InterfacePlan {
  readonly guarded: readonly GuardedInterface[]
  readonly open: readonly OpenInterface[]
  /** Interfaces on top of guarded bridges, such as VLANs. Containers reach the host through them, too. */
  readonly stacked: readonly string[]
  /** `br-…` bridges that the engine does not list. They are open as `not a Docker bridge`, and `status` names them. */
  readonly foreign: readonly string[]
}

/** The part of the config that chooses: names of networks, and patterns of bridges that are left alone. */
export interface GuardChoice {
  readonly networks: 'all' | readonly string[]
  readonly except: readonly string[]
  /** A trailing `*` stands for any ending. */
  readonly ignoreInterfaces: readonly string[]
}

export interface GuardedInterface {
  readonly bridge: string
  /** Undefined while the engine has not listed its network. Hostile text. */
  readonly networkName: string | undefined
  readonly networkId: string | undefined
  readonly subnets: readonly Cidr[]
  readonly internal: boolean
}

export interface OpenInterface {
  readonly name: string
  /** The kernel's number of the link: another one of the same name is not left alone. */
  readonly index: number
  readonly why: 'excepted network' | 'ignored interface' | 'not a Docker bridge'
}

/** Bridges of Docker's own naming: guarded before any event, whether or not they exist yet. */
const WELL_KNOWN = ['docker0', 'docker_gwbridge'] as const

const NONE: ReadonlySet<string> = new Set()

/** Do the packets of this network come by a bridge of this host? */
export const isGuardable = ({ bridge }: Pick<Network, 'bridge'>): boolean => bridge !== undefined

/**
 * Does the list of networks to guard name none that exists? Then it is misspelt, or its networks are not made yet, and in both cases the operator
 * did not mean that nothing is guarded. An empty list does mean that.
 * @param seen names of networks that existed before: a list that names one of them is not misspelt
 */
export const namesNoNetwork = (
  { networks }: Pick<GuardChoice, 'networks'>,
  inventory: Inventory | undefined,
  seen: ReadonlySet<string> = NONE,
): boolean =>
  inventory !== undefined &&
  networks !== 'all' &&
  networks.length > 0 &&
  !networks.some((name) => seen.has(name)) &&
  !inventory.networks.some((network) => isGuardable(network) && networks.includes(network.name))

/**
 * Decides which interfaces are guarded. Opening needs a reason, guarding needs none:
 * - A network of the engine's list is guarded unless the config excepts it.
 * - A bridge that is named as Docker names its bridges is guarded unless the engine lists it for an excepted network.
 * - A list of networks to guard that names none of the existing ones guards all.
 * - Any other bridge of the host is opened only when the config ignores it, or when the engine has listed its networks and the bridge is not among them.
 *
 * @param inventory undefined while the engine has not answered: then only ignored interfaces are opened
 * @param settling bridges that appeared so recently that the engine may not list them yet. They are guarded, so that a network of the engine's can be
 *   used as soon as it is created.
 * @param seen names of networks to guard that existed before
 */
export const decideInterfaces = (
  inventory: Inventory | undefined,
  hostInterfaces: readonly HostInterface[],
  guard: GuardChoice,
  settling: ReadonlySet<string> = new Set(),
  seen: ReadonlySet<string> = NONE,
): InterfacePlan => {
  const chosen = namesNoNetwork(guard, inventory, seen) ? { ...guard, networks: 'all' as const } : guard
  const guarded = new Map<string, GuardedInterface>()
  const excepted = new Set<string>()
  for (const network of inventory?.networks ?? []) {
    if (network.bridge === undefined) continue
    if (isGuarded(network.name, chosen))
      guarded.set(network.bridge, guardedInterface(network.bridge, network))
    else excepted.add(network.bridge)
  }
  const indexes = new Map(hostInterfaces.filter((one) => one.isBridge).map((one) => [one.name, one.index]))
  const bridges = [...indexes.keys()]
  for (const bridge of [...WELL_KNOWN, ...bridges.filter(isGeneratedBridgeName)]) {
    if (!guarded.has(bridge) && !excepted.has(bridge))
      guarded.set(bridge, guardedInterface(bridge, undefined))
  }
  const open = new Map<string, OpenInterface['why']>()
  // Two networks may claim one bridge: the guarded one wins.
  for (const name of excepted) if (!guarded.has(name)) open.set(name, 'excepted network')
  for (const name of bridges) {
    if (guarded.has(name) || open.has(name) || !isUsableInterfaceName(name)) continue
    if (guard.ignoreInterfaces.some((pattern) => matchesInterface(pattern, name)))
      open.set(name, 'ignored interface')
    else if (settling.has(name)) guarded.set(name, guardedInterface(name, undefined))
    else if (inventory !== undefined) open.set(name, 'not a Docker bridge')
  }
  return {
    guarded: [...guarded.values()].toSorted((left, right) => compare(left.bridge, right.bridge)),
    open: [...open]
      .flatMap(([name, why]): OpenInterface[] => {
        const index = indexes.get(name)
        return index === undefined ? [] : [{ name, index, why }]
      })
      .toSorted((left, right) => compare(left.name, right.name)),
    stacked: stackedOn(guarded, hostInterfaces),
    foreign: [...open]
      .filter(([name, why]) => why === 'not a Docker bridge' && name.startsWith('br-'))
      .map(([name]) => name)
      .toSorted(compare),
  }
}

/**
 * All interfaces on top of these bridges, directly or on others of them, the VRF that they are in, and the far end of a pair whose other end is one of
 * their ports. A pair that is named as the engine names those of containers is about to be moved into a container, so it is left out.
 */
const stackedOn = (
  bridges: ReadonlyMap<string, unknown>,
  hostInterfaces: readonly HostInterface[],
): string[] => {
  const ports = new Set(
    hostInterfaces
      .filter(({ name }) => bridges.has(name))
      .flatMap((one) => one.ports.map(({ name }) => name)),
  )
  const isLeg = (one: HostInterface): boolean =>
    one.kind === 'veth' && one.lower !== undefined && ports.has(one.lower) && !isContainersEnd(one)
  // For rules, packets from a bridge in a VRF come in by the VRF.
  const isAbove = ({ kind, ports: below }: HostInterface): boolean =>
    kind === 'vrf' && below.some(({ name }) => bridges.has(name))
  const found = new Set(hostInterfaces.filter((one) => isLeg(one) || isAbove(one)).map(({ name }) => name))
  for (let size = -1; size !== found.size;) {
    size = found.size
    for (const { name, lower, kind } of hostInterfaces)
      if (lower !== undefined && kind !== 'veth' && (bridges.has(lower) || found.has(lower))) found.add(name)
  }
  return [...found].filter((name) => !bridges.has(name) && isUsableInterfaceName(name)).toSorted(compare)
}

export const isGuarded = (networkName: string, guard: Pick<GuardChoice, 'networks' | 'except'>): boolean =>
  !guard.except.includes(networkName) && (guard.networks === 'all' || guard.networks.includes(networkName))

export const matchesInterface = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern

const guardedInterface = (bridge: string, network: Network | undefined): GuardedInterface => ({
  bridge,
  networkName: network?.name,
  networkId: network?.id,
  subnets: network?.subnets ?? [],
  internal: network?.internal ?? false,
})

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)
