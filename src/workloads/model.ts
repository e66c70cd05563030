import type { Address, Cidr, Family } from '../net/types.ts'

/** The networks and containers of Docker, reduced to what a firewall needs. Names are hostile text until they are sanitised. */
export interface Inventory {
  readonly networks: readonly Network[]
  readonly containers: readonly Container[]
}

export interface Network {
  readonly id: string
  readonly name: string
  readonly driver: string
  /** Bridge interface on the host, for drivers that have one; undefined when Docker gave an unusable name. */
  readonly bridge: string | undefined
  readonly subnets: readonly Cidr[]
  readonly gateways: readonly Address[]
  readonly internal: boolean
  readonly ipv6: boolean
  /** Families in which packets leave with the container's own address, by the network's options; undefined: none. */
  readonly unmasqueraded?: readonly Family[]
  /** The policy that its label asks for. */
  readonly policyLabel?: string
}

export interface Container {
  readonly id: string
  readonly name: string
  readonly running: boolean
  /** The host's number of its first process; undefined while it does not run. */
  readonly pid: number | undefined
  /** `bridge`, `host`, `none`, `container:ID` or a network's name; the engine's `default` is given as `bridge`. */
  readonly networkMode: string
  /** Of the engine's OCI runtimes: `runc` on most hosts; empty where it is not known. */
  readonly runtime: string
  readonly privileged: boolean
  /** Upper case, without `CAP_`: `NET_ADMIN`, `ALL`. */
  readonly capAdd: readonly string[]
  /** As `capAdd`. */
  readonly capDrop: readonly string[]
  /** `host` or `container:ID`; empty: its own. */
  readonly pidMode: string
  /** `host` or `private`; empty where it is not known. */
  readonly cgroupnsMode: string
  /** `seccomp=unconfined`, `apparmor=…`: what was asked for in place of the engine's own. */
  readonly securityOpt: readonly string[]
  /** Host paths that are mounted, with whether read-only. */
  readonly mounts: readonly { readonly source: string; readonly readOnly: boolean }[]
  /** The container's own `--dns` servers. */
  readonly dns: readonly string[]
  readonly publishedPorts: readonly {
    readonly hostIp: string
    readonly hostPort: number
    readonly protocol: string
  }[]
  /** The same ports as numbered inside the container: clients use these by the container's own address. */
  readonly servedPorts: readonly { readonly port: number; readonly protocol: string }[]
  /** The labels of its image are among them. */
  readonly labels: Readonly<Record<string, string>>
  readonly imageId: string
  /** The labels of the image; undefined while they are not known. */
  readonly imageLabels: Readonly<Record<string, string>> | undefined
  /** Where the engine keeps the container's resolv.conf on the host; undefined before its first start. The container can write to that file. */
  readonly resolvConfPath: string | undefined
  readonly endpoints: readonly Endpoint[]
}

export interface Endpoint {
  readonly networkId: string
  readonly networkName: string
  /** On docker_gwbridge: the overlay networks whose way out this is. */
  readonly overlays?: readonly string[]
  /** The policies that the network's label asks for, and of docker_gwbridge those of its overlay networks. */
  readonly policyLabels?: readonly string[]
  readonly addresses: readonly Address[]
  readonly mac: string | undefined
  /** The gateways of a default route by this network, at most one of each family. Engines since 25 give none for internal networks. */
  readonly gateways: readonly Address[]
}

/** Facts of the engine that decide what can be guarded. */
export interface Engine {
  readonly version: string
  /** `FirewallBackend.Driver` of /info, from API 1.49; undefined on older engines (then it is iptables). */
  readonly firewallBackend: string | undefined
  readonly rootless: boolean
}

export type UnprotectedReason =
  | 'host-network'
  | 'macvlan'
  | 'ipvlan'
  | 'rootless'
  | 'docker-socket-mounted'
  | 'privileged'
  | 'netadmin-on-host'
  | 'bridge-uplink'
  | 'mixed-bridge'
  | 'dns-tunnel'
  | 'smtp-any'
  | 'published-inbound'
  | 'no-second-guard'
  | 'engine-backend'
  | 'foreign-bridge'
  | 'open-policy'

/** One thing on this host that is not guarded, and what to do about it. */
export interface Unprotected {
  readonly reason: UnprotectedReason
  /** Container, network, interface or policy name; empty when the whole host is meant. */
  readonly subject: string
  readonly advice: string
}
