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
  /** Where somebody else's rule accepts packets before they reach that parent, the last parent gets the rule too, and this stands in the other. */
  readonly second?: Rule
}

export interface Rule {
  /** Identity over rewrites and restarts: counters are kept under it. `[a-z0-9.:/_-]+` */
  readonly key: string
  /** The policy it belongs to, or `host` for what holds for all. */
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
  /** A protocol that nobody allows by name. */
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
  /** A budget that was not asked for so long is forgotten, and whole again at the next packet. Undefined: one `per`. */
  readonly expireMs?: number
}

export type RuleTarget =
  | { readonly kind: 'jump' | 'goto'; readonly chain: string }
  /** `accept` is for what ends at a service of our own: nobody else has a say in it. */
  | { readonly kind: 'return' | 'drop' | 'accept' }
  /** To this port of the host. */
  | { readonly kind: 'redirect'; readonly port: number }
  | { readonly kind: 'reject'; readonly how: 'reset' | 'prohibited' }
  | { readonly kind: 'log'; readonly prefix: string; readonly group: number }
  /** Whoever reads this queue decides. Where nobody does the packet is dropped. */
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
  /** Seconds that an element stands when none are given; never 0. */
  readonly timeout: number
  readonly maxelem: number
}

/**
 * `hash:net`: addresses and networks; `hash:ip,port,ip`: flows; `hash:net,iface`: a network on an interface; `hash:net,port`: ports of
 * addresses and networks.
 */
export type SetType = 'hash:net' | 'hash:ip,port,ip' | 'hash:net,iface' | 'hash:net,port'

/** Who may send as whom on the bridges of containers. */
export interface Bindings {
  readonly ports: readonly Binding[]
  /** The host's own addresses on those bridges, which are no container's. */
  readonly gateways: readonly Address[]
  /** Ports of bridges that are left alone: nothing that a container of ours chose for itself may cut them. */
  readonly spared: readonly string[]
}

/**
 * What containers may send from. `kept`: the bindings in force stay, since nobody says which containers there are. Undefined: anything, since
 * all have the same rights.
 */
export type DesiredBindings = Bindings | 'kept' | undefined

/** What a container may send from: the frames of its port bear these and nothing else. */
export interface Binding {
  /** The host's end of its pair. */
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
  /** Of its directory: a group that is made anew under the same name is another one. */
  readonly inode: number
  /** The number of its rights, 0 for unknown sources; undefined: it is left alone. */
  readonly class: number | undefined
}

/** What the table of the host's network has to hold. `kept`: nothing is known, so it stays as it is. Undefined: there must be none. */
export type DesiredGroups = readonly HostGroup[] | 'kept' | undefined

/** The control groups of containers on the host's network, and who is in none that can be marked. */
export interface HostGroups {
  /** Undefined: the engine was not heard, so what stands stays. */
  readonly groups: readonly HostGroup[] | undefined
  /** The host's own, from which they send. */
  readonly addresses: readonly Address[]
  /** Ids of containers whose group is among them. */
  readonly held: ReadonlySet<string>
  /** By id, why not. */
  readonly unheld: ReadonlyMap<string, string>
  /** Why nobody is. */
  readonly problem: string | undefined
}

/** The table behind the rules: it drops what comes from a bridge and was not approved. */
export interface Backstop {
  readonly marks: MarkLayout
  readonly generation: number
  /** What connections and packets bore before, accepted too while the rules change. */
  readonly former?: readonly { readonly generation: number; readonly marks: MarkLayout }[]
  /** Bridges that are none of our business. */
  readonly open: readonly OpenLink[]
  /** Interfaces on top of guarded bridges, such as their VLANs: what comes in by them comes from containers too. */
  readonly stacked: readonly string[]
  /** No approval counts, whoever gives it. Rules that somebody saved long ago may stand until the daemon has written its own. */
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
