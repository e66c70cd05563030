import type { MarkLayout } from '../config/marks.ts'
import type { Address, Cidr, Family, MaskedAddress, Protocol } from '../net/types.ts'

/** The firewall as data: what a backend has to put into the kernel. Nothing in here does I/O. */
export interface Dataplane {
  readonly rules: Readonly<Record<Family, Ruleset>>
  /** Sets that rules name, without their elements. */
  readonly sets: readonly SetSpec[]
  readonly backstop: Backstop
}

export type Table = 'raw' | 'nat' | 'filter'

export interface Ruleset {
  readonly chains: readonly Chain[]
  /** How built-in and Docker's chains reach ours. */
  readonly hooks: readonly Hook[]
}

export interface Chain {
  readonly table: Table
  readonly name: string
  readonly rules: readonly Rule[]
}

/** One jump of ours at the first place of a chain that is not ours. */
export interface Hook {
  readonly table: Table
  /** The first of these that exists and is reached is used; the last always exists. */
  readonly parents: readonly string[]
  readonly rule: Rule
  /** Where a rule of another program accepts packets before they reach that parent, the last parent gets `rule`, and that parent gets this one. */
  readonly second?: Rule
}

export interface Rule {
  /** Identifies the rule over rewrites and restarts: counters are kept under it. `[a-z0-9.:/_-]+` */
  readonly key: string
  /** The policy that it belongs to, or `host` for rules about all containers. */
  readonly policy: string
  readonly matches: readonly RuleMatch[]
  /** Undefined: the rule only counts. */
  readonly target: RuleTarget | undefined
  /** For operators, in the listing of the kernel's own tools. */
  readonly words: string
  /** What becomes of the packet, for metrics and listings. */
  readonly action: RuleAction
}

export type RuleAction =
  'allow' | 'drop' | 'reject' | 'return' | 'redirect' | 'hold' | 'log' | 'count' | 'continue'

export type ConntrackState = 'NEW' | 'ESTABLISHED' | 'RELATED' | 'INVALID' | 'UNTRACKED' | 'DNAT'

export type RuleMatch =
  /** A trailing `+` stands for any ending. */
  | { readonly kind: 'in' | 'out'; readonly name: string }
  | { readonly kind: 'destination'; readonly cidr: MaskedAddress }
  | { readonly kind: 'icmpType'; readonly type: number }
  /** The destination before any DNAT. */
  | { readonly kind: 'originalDestination'; readonly cidr: Cidr }
  | { readonly kind: 'protocol'; readonly protocol: Protocol | 'igmp' }
  /** A protocol that cannot be allowed by name. */
  | { readonly kind: 'protocolNumber'; readonly number: number }
  /** The destination is an address of the host as it stands in the packet, and so after any DNAT. */
  | { readonly kind: 'toHost' }
  /** The destination port before any DNAT. */
  | { readonly kind: 'originalPort'; readonly port: number }
  /** Destination ports of TCP or UDP; at most 15 slots, a range takes two. */
  | { readonly kind: 'ports'; readonly protocol: 'tcp' | 'udp'; readonly ranges: readonly PortsFromTo[] }
  | { readonly kind: 'set'; readonly set: string; readonly fields: string; readonly negate?: boolean }
  | { readonly kind: 'state'; readonly states: readonly ConntrackState[]; readonly negate?: boolean }
  | { readonly kind: 'direction'; readonly direction: 'ORIGINAL' | 'REPLY' }
  | {
      readonly kind: 'connmark' | 'mark'
      readonly value: number
      readonly mask: number
      readonly negate?: boolean
    }
  /** Bridged rather than routed; `out` narrows to a port name pattern. */
  | { readonly kind: 'bridged'; readonly negate?: boolean; readonly out?: string }
  /** The source does not route back through the interface it came from. */
  | { readonly kind: 'forgedSource' }
  /** The frame was sent to an address that bridges never forward (01:80:c2:00:00:00 to :0f): a port hands it to the host by itself. */
  | { readonly kind: 'reservedFrame' }
  /** The ICMP error quotes a packet that was sent to the address that now sends the error. */
  | { readonly kind: 'quotesOwn' }
  | { readonly kind: 'hashlimit'; readonly limit: Hashlimit }

export interface PortsFromTo {
  readonly from: number
  readonly to: number
}

export interface Hashlimit {
  readonly name: string
  readonly side: 'above' | 'upto'
  readonly count: number
  readonly per: 'second' | 'minute' | 'hour' | 'day'
  readonly burst: number
  /** bySource: one budget a source address; otherwise one for all. */
  readonly bySource: boolean
  /** A budget that was not used for this long is forgotten, and is full again at the next packet. Undefined: one `per`. */
  readonly expireMs?: number
}

export type RuleTarget =
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  /** `accept` is for packets to a service of our own: no other rule of the host may deny them. */
  | { readonly kind: 'return' | 'drop' | 'accept' }
  /** To this port of the host. */
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'reject'; readonly how: 'reset' | 'prohibited' }
  | { readonly kind: 'log'; readonly prefix: string; readonly group: number }
  /** The reader of this queue decides. Without a reader the packet is dropped. */
  | { readonly kind: 'queue'; readonly queue: number }
  | { readonly kind: 'setMark' | 'clearMark'; readonly bit: number }
  /** Writes the value into these bits of the packet's mark. */
  | { readonly kind: 'mark'; readonly value: number; readonly mask: number }
  | { readonly kind: 'setConnmark'; readonly value: number; readonly mask: number }
  /** Writes these bits of the packet's mark into the connection's. */
  | { readonly kind: 'keepMark'; readonly mask: number }
  /** Writes these bits of the connection's mark into the packet's. */
  | { readonly kind: 'takeMark'; readonly mask: number }
  /** Exclusive or: these bits of the packet's mark are 0 then where both marks had the same. Done twice it changes nothing. */
  | { readonly kind: 'mixConnmark'; readonly mask: number }

export interface SetSpec {
  readonly name: string
  readonly family: Family
  readonly type: SetType
  /** Time-out in seconds of elements that are added without one; never 0. */
  readonly timeout: number
  readonly maxelem: number
}

/**
 * `hash:net`: addresses and networks; `hash:ip,port,ip`: flows; `hash:net,iface`: a network on an interface; `hash:net,port`: ports of
 * addresses and networks.
 */
export type SetType = 'hash:net' | 'hash:ip,port,ip' | 'hash:net,iface' | 'hash:net,port'

/** Which addresses each port of a guarded bridge may send from. */
export interface Bindings {
  readonly ports: readonly Binding[]
  /** The host's own addresses on those bridges. No container may claim them. */
  readonly gateways: readonly Address[]
  /** Ports of bridges that are left alone. An address that a guarded container chose for itself must not cut them off. */
  readonly spared: readonly string[]
}

/**
 * What containers may send from. `kept`: the bindings in force stay, since nobody says which containers there are. Undefined: anything, since
 * all have the same rights.
 */
export type DesiredBindings = Bindings | 'kept' | undefined

/** What a container may send from: the frames of its port bear these and nothing else. */
export interface Binding {
  /** The host's end of the veth pair. */
  readonly port: string
  /** Lower case. */
  readonly mac: string
  readonly address: Address
  /** The number of its rights. */
  readonly class: number
}

/** A control group of processes on the host's network. */
export interface HostGroup {
  /** Below the root of the hierarchy, without a slash before or behind it. */
  readonly path: string
  /** The inode of its directory: a group that is made anew under the same name is another group. */
  readonly inode: number
  /** Its class, 0 for unknown sources; undefined: it is left alone. */
  readonly class: number | undefined
}

/** What the table of the host's network has to hold. `kept`: nothing is known, so it stays as it is. Undefined: there must be none. */
export type DesiredGroups = readonly HostGroup[] | 'kept' | undefined

/** The control groups of containers on the host's network, and the containers whose group cannot be marked. */
export interface HostGroups {
  /** Undefined: the engine does not answer, so the table in the kernel stays as it is. */
  readonly groups: readonly HostGroup[] | undefined
  /** The host's own addresses, from which such containers send. */
  readonly addresses: readonly Address[]
  /** Ids of containers whose group is among them. */
  readonly held: ReadonlySet<string>
  /** Why a container is not guarded, by its id. */
  readonly unheld: ReadonlyMap<string, string>
  /** Why no container on the host's network is guarded. */
  readonly problem: string | undefined
}

/** The table behind the rules: it drops what comes from a bridge and was not approved. */
export interface Backstop {
  readonly marks: MarkLayout
  readonly generation: number
  /** Earlier generations, accepted too while the rules change. */
  readonly former?: readonly { readonly generation: number; readonly marks: MarkLayout }[]
  /** Bridges that are left alone. */
  readonly open: readonly OpenLink[]
  /** Interfaces on top of guarded bridges, such as their VLANs: packets that come in by them are from containers too. */
  readonly stacked: readonly string[]
  /** No approval counts. Until the daemon has written its rules, old ones may be in force that some other program has saved and restored. */
  readonly closed?: true
}

/** A link that is left alone. */
export interface OpenLink {
  readonly name: string
  /** The kernel gives a number once: another link of the same name is not this one. Undefined: the name alone counts. */
  readonly index: number | undefined
  /** Is it a network of the engine's? */
  readonly isDocker: boolean
}
