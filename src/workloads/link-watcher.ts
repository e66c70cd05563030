import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import type { Link } from '../system/host.ts'
import { LineProcess } from '../system/line-process.ts'

/** A change of an interface, as the kernel tells it. */
export interface LinkChange extends Link {
  /** It is a pair whose other end is in another namespace, and up. */
  readonly isConnected: boolean
  readonly deleted: boolean
}

export interface AddressChange {
  /** Of the interface. */
  readonly index: number
  readonly address: Address
  readonly deleted: boolean
}

export interface LinkListener {
  onLink(change: LinkChange): void
  onAddress(change: AddressChange): void
  /** The watch begins, or begins again after a gap: read all interfaces once. */
  onStart(): void
  onEnd(error: Error): void
}

/** A burst of changes has to fit in: the kernel drops what does not, and does not say what it was. */
const BUFFER_BYTES = 8 * 1024 * 1024

/**
 * Reports interfaces and their addresses as they come, change and go, in the network namespace of this process. The bridge of a Docker network is
 * reported here 50-80 ms before the engine sends an event about the network.
 */
export const watchLinks = (
  listener: LinkListener,
  argv: readonly [string, ...string[]] = [
    'ip',
    '-rcvbuf',
    `${BUFFER_BYTES}`,
    '-oneline',
    '-details',
    'monitor',
    'link',
    'address',
  ],
): LineProcess =>
  new LineProcess({
    argv,
    onLine: (line) => {
      const change = parseLinkLine(line)
      if (change) listener.onLink(change)
      const address = parseAddressLine(line)
      if (address) listener.onAddress(address)
    },
    onStart: () => listener.onStart(),
    onEnd: (error) => listener.onEnd(error),
  })

/**
 * `[Deleted ]7: veth0@if6: <FLAGS> mtu 1500 qdisc noqueue master br0 state UP … \    link/ether … \    veth \    bridge_slave …`
 * Undefined for other lines. The bridge code reports its ports in shorter lines (without a qdisc), in which `Deleted` means that the port left
 * the bridge.
 */
export const parseLinkLine = (line: string): LinkChange | undefined => {
  const [head = '', , ...details] = line.split('\\').map((part) => part.trim())
  const match = /^(Deleted )?(\d+): (\S+): <([^>]*)> (.*)$/.exec(head)
  const [, deleted, index, name, flags = '', rest = ''] = match ?? []
  if (name === undefined || !/\bqdisc \S/.test(rest)) return undefined
  const below = /@([^@]+)$/.exec(name)?.[1]
  const other = /^if(\d+)$/.exec(below ?? '')?.[1]
  const namespace = / link-netnsid (\d+)/.exec(line)?.[1]
  return {
    index: Number(index),
    // The kernel allows no colon and no space in a name; `@` begins the other end of a pair.
    name: name.replace(/@[^@]*$/, ''),
    kind: details.map((part) => /^[a-z0-9_]+/.exec(part)?.[0]).find((word) => word && !NOT_A_KIND.has(word)),
    master: / master (\S+)/.exec(` ${rest}`)?.[1],
    lower: other === undefined && below !== 'NONE' ? below : undefined,
    peer:
      other === undefined || namespace === undefined
        ? undefined
        : { index: Number(other), namespace: Number(namespace) },
    isConnected: namespace !== undefined && flags.split(',').includes('LOWER_UP'),
    deleted: deleted !== undefined,
  }
}

/** `[Deleted ]7: veth0    inet6 fe80::1/64 scope link \       valid_lft forever …` */
export const parseAddressLine = (line: string): AddressChange | undefined => {
  const [, deleted, index, text = ''] = /^(Deleted )?(\d+): \S+ +inet6? ([0-9a-f.:]+)[/ ]/.exec(line) ?? []
  const address = parseAddress(text)
  return address === undefined ? undefined : { index: Number(index), address, deleted: deleted !== undefined }
}

/** What else may stand on a line of its own in the details. */
const NOT_A_KIND = new Set([
  'link',
  'bridge_slave',
  'bond_slave',
  'vrf_slave',
  'alias',
  'altname',
  'vf',
  'numtxqueues',
])
