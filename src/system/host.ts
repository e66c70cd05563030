import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import type { Run } from './exec.ts'

/** An interface of the network namespace that this process is in. */
export interface HostInterface {
  readonly name: string
  /** `bridge`, `veth`, `vlan`, `macvlan` …; undefined for hardware and loopback. */
  readonly kind: string | undefined
  readonly isBridge: boolean
  /** The interfaces enslaved to this one. */
  readonly ports: readonly InterfacePort[]
  /** The host's own addresses on it, link-local ones too. */
  readonly addresses: readonly Address[]
}

export interface InterfacePort {
  readonly name: string
  readonly kind: string | undefined
  /** Of a pair: the other end's number in its own namespace, and the host's number of that namespace where it is another one. */
  readonly peer?: { readonly index: number; readonly namespace: number } | undefined
}

/**
 * Asks the kernel through `ip`, not /sys/class/net: that shows the namespace in which /sys was mounted, which is another one
 * after `nsenter --net`. Rejects with what `run` rejects with, or with an Error when the answer is not understood: never an empty list for a failure.
 */
export const readHostInterfaces = async (run: Run): Promise<HostInterface[]> => {
  const { stdout } = await run(['ip', '-json', '-details', 'address', 'show'])
  return parseHostInterfaces(stdout)
}

/** The addresses of the host itself: never to be let through as somebody's answer. */
export const hostAddresses = (interfaces: readonly HostInterface[]): Set<Address> =>
  new Set(interfaces.flatMap((one) => one.addresses))

/** What `ip -json -details address show` prints. */
interface IpLink {
  readonly ifname?: string
  readonly master?: string
  readonly link_index?: number
  readonly link_netnsid?: number
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info?: readonly { readonly local?: string }[]
}

export const parseHostInterfaces = (stdout: string): HostInterface[] => {
  const links = parseLinks(stdout)
  return links.map((link) => ({
    name: link.ifname,
    kind: link.linkinfo?.info_kind,
    isBridge: link.linkinfo?.info_kind === 'bridge',
    ports: links.filter((port) => port.master === link.ifname).map(portOf),
    addresses: (link.addr_info ?? []).flatMap(({ local }) => parseAddress(local ?? '') ?? []),
  }))
}

const portOf = ({
  ifname,
  linkinfo,
  link_index: index,
  link_netnsid: namespace,
}: IpLink & { readonly ifname: string }): InterfacePort => ({
  name: ifname,
  kind: linkinfo?.info_kind,
  ...(index === undefined || namespace === undefined ? {} : { peer: { index, namespace } }),
})

const parseLinks = (stdout: string): (IpLink & { readonly ifname: string })[] => {
  let json: unknown
  try {
    json = JSON.parse(stdout)
  } catch (cause) {
    throw new Error('reading the interfaces of the host: no JSON from ip', { cause })
  }
  if (!Array.isArray(json)) throw new Error('reading the interfaces of the host: no list from ip')
  // Filtered dumps leave empty objects in the list.
  return json.filter(
    (link: IpLink | null): link is IpLink & { readonly ifname: string } => typeof link?.ifname === 'string',
  )
}
