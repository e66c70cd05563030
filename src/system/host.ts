import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import type { Run } from './exec.ts'

/** An interface of the network namespace that this process is in. */
export interface HostInterface {
  /** The kernel gives each number once: an interface that is made again under the same name has another number. */
  readonly index: number
  readonly name: string
  /** `bridge`, `veth`, `vlan`, `macvlan` …; undefined for hardware and loopback. */
  readonly kind: string | undefined
  readonly isBridge: boolean
  /** The interface below it that carries its frames, as below a VLAN; undefined: none, or one of another namespace. */
  readonly lower: string | undefined
  /** Does this bridge learn senders from frames that it does not forward? Undefined: it is no bridge, or the kernel does not tell. */
  readonly learnsReserved?: boolean | undefined
  /** The interfaces enslaved to this one. */
  readonly ports: readonly InterfacePort[]
  /** The host's own addresses on it, link-local ones too. */
  readonly addresses: readonly Address[]
}

export interface InterfacePort {
  /** Its number on the host, which the kernel gives to no other interface. */
  readonly index: number
  readonly name: string
  readonly kind: string | undefined
  readonly peer?: Peer | undefined
}

/** The other end of a pair: its number in its own namespace, and the host's number of that namespace, which is not the host's own. */
export interface Peer {
  readonly index: number
  readonly namespace: number
}

/** An interface without its ports and addresses. */
export interface Link {
  readonly index: number
  readonly name: string
  readonly kind: string | undefined
  /** The bridge (or bond, or vrf) that it is a port of. */
  readonly master: string | undefined
  /** The interface of this namespace that it is linked to: below a VLAN, or the other end of a pair. */
  readonly lower: string | undefined
  readonly peer: Peer | undefined
  /** As in {@link HostInterface}. */
  readonly learnsReserved?: boolean | undefined
}

export interface AddressedLink extends Link {
  readonly addresses: readonly Address[]
}

/**
 * Asks the kernel through `ip`, not /sys/class/net: that shows the namespace in which /sys was mounted, which is another one
 * after `nsenter --net`. Rejects with what `run` rejects with, or with an Error when the answer is not understood: never an empty list for a failure.
 */
export const readLinks = async (run: Run): Promise<AddressedLink[]> => {
  const { stdout } = await run(['ip', '-json', '-details', 'address', 'show'])
  return parseLinks(stdout)
}

/** The addresses of the host itself. They are never allowed as addresses of a name. */
export const hostAddresses = (interfaces: readonly HostInterface[]): Set<Address> =>
  new Set(interfaces.flatMap((one) => one.addresses))

/** The interfaces, each with its ports. */
export const interfacesOf = (links: Iterable<AddressedLink>): HostInterface[] => {
  const all = [...links]
  const ports = new Map<string, InterfacePort[]>()
  for (const { index, name, kind, master, peer } of all) {
    if (master === undefined) continue
    const some = ports.get(master) ?? []
    some.push({ index, name, kind, ...(peer ? { peer } : {}) })
    ports.set(master, some)
  }
  return all.map(({ index, name, kind, lower, learnsReserved, addresses }) => ({
    index,
    name,
    kind,
    isBridge: kind === 'bridge',
    lower,
    ...(learnsReserved === undefined ? {} : { learnsReserved }),
    ports: ports.get(name) ?? [],
    addresses,
  }))
}

/** What `ip -json -details address show` prints. */
interface IpLink {
  readonly ifindex: number
  readonly ifname: string
  readonly master?: string
  readonly link?: string
  readonly link_index?: number
  readonly link_netnsid?: number
  readonly linkinfo?: {
    readonly info_kind?: string
    readonly info_data?: { readonly no_linklocal_learn?: number }
  }
  readonly addr_info?: readonly { readonly local?: string }[]
}

export const parseLinks = (stdout: string): AddressedLink[] => {
  let json: unknown
  try {
    json = JSON.parse(stdout)
  } catch (cause) {
    throw new Error('reading the interfaces of the host: no JSON from ip', { cause })
  }
  if (!Array.isArray(json)) throw new Error('reading the interfaces of the host: no list from ip')
  return json.filter(isNotEmpty).map(linkOf)
}

/** Filtered dumps leave empty objects in the list. */
const isNotEmpty = (item: unknown): boolean =>
  typeof item !== 'object' || item === null || Object.keys(item).length > 0

const linkOf = (link: unknown): AddressedLink => {
  if (!isLink(link))
    throw new Error('reading the interfaces of the host: one of them has no name or no number')
  return {
    index: link.ifindex,
    name: link.ifname,
    kind: link.linkinfo?.info_kind,
    master: link.master,
    lower: link.link,
    peer:
      link.link_index === undefined || link.link_netnsid === undefined
        ? undefined
        : { index: link.link_index, namespace: link.link_netnsid },
    ...learningOf(link),
    addresses: (link.addr_info ?? []).flatMap(({ local }) => parseAddress(local ?? '') ?? []),
  }
}

const learningOf = ({ linkinfo }: IpLink): Pick<Link, 'learnsReserved'> => {
  const option = linkinfo?.info_data?.no_linklocal_learn
  return option === undefined ? {} : { learnsReserved: option === 0 }
}

/**
 * Stops bridges from learning senders from frames to reserved addresses: such frames pass no hook before the bridge learns. A bridge that is gone is
 * skipped.
 */
export const stopReservedLearning = async (run: Run, bridges: readonly string[]): Promise<void> => {
  const lines = bridges.map((name) => `link set dev ${name} type bridge no_linklocal_learn 1\n`)
  await run(['ip', '-force', '-batch', '-'], { input: lines.join(''), okExitCodes: [1] })
}

const isLink = (link: unknown): link is IpLink =>
  typeof link === 'object' &&
  link !== null &&
  'ifname' in link &&
  typeof link.ifname === 'string' &&
  'ifindex' in link &&
  typeof link.ifindex === 'number'
