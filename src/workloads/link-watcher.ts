import { LineProcess } from '../system/line-process.ts'

/** A change of an interface, as the kernel tells it. */
export interface LinkChange {
  readonly name: string
  /** `bridge`, `veth` …; undefined for hardware. */
  readonly kind: string | undefined
  /** The bridge (or bond, or vrf) that it is a port of. */
  readonly master: string | undefined
  /** Its other end, in another namespace than ours, is up. */
  readonly isConnected: boolean
  readonly deleted: boolean
}

export interface LinkListener {
  onLink(change: LinkChange): void
  /** The watch begins, or begins again after a gap: read all interfaces once. */
  onStart(): void
  onEnd(error: Error): void
}

/**
 * Tells of interfaces as they come, change and go. A Docker network's bridge shows here 50-80 ms before the engine tells of the network.
 * It sees the network namespace that this process is in.
 */
export const watchLinks = (
  listener: LinkListener,
  argv: readonly [string, ...string[]] = ['ip', '-oneline', '-details', 'monitor', 'link'],
): LineProcess =>
  new LineProcess({
    argv,
    onLine: (line) => {
      const change = parseLinkLine(line)
      if (change) listener.onLink(change)
    },
    onStart: () => listener.onStart(),
    onEnd: (error) => listener.onEnd(error),
  })

/**
 * `[Deleted ]7: veth0@if6: <FLAGS> mtu 1500 qdisc noqueue master br0 state UP … \    link/ether … \    veth \    bridge_slave …`
 * Undefined for what is none, and for the shorter lines (without a qdisc) in which the bridge code tells of its ports:
 * there a `Deleted` means that the port left the bridge.
 */
export const parseLinkLine = (line: string): LinkChange | undefined => {
  const [head = '', , ...details] = line.split('\\').map((part) => part.trim())
  const match = /^(Deleted )?\d+: (\S+): <[^>]*> (.*)$/.exec(head)
  if (!match?.[2] || !/\bqdisc \S/.test(match[3] ?? '')) return undefined
  return {
    // The kernel allows no colon and no space in a name; `@` begins the other end of a pair.
    name: match[2].replace(/@[^@]*$/, ''),
    kind: details.map((part) => /^[a-z0-9_]+/.exec(part)?.[0]).find((word) => word && !NOT_A_KIND.has(word)),
    master: / master (\S+)/.exec(` ${match[3]}`)?.[1],
    isConnected: / link-netnsid \d/.test(line) && /<[^>]*\bLOWER_UP\b/.test(head),
    deleted: match[1] !== undefined,
  }
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
