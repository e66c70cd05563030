/** Canonical forms of what comes from outside. Each is made by exactly one parser in this folder; a value of the type is always valid. */

export type Family = 4 | 6
/** As metrics and status name it. */
export type IpFamily = 'ipv4' | 'ipv6'
export const FAMILIES: readonly Family[] = [4, 6]

/** An address as the kernel prints it: dotted quad, or RFC 5952 text (`2001:db8::1`). Never v4-mapped. */
export type Address = string & { readonly __address: true }

/** A network as ipset prints it: `198.51.100.0/24`, no host bits; a full-length prefix is a bare address. */
export type Cidr = string & { readonly __cidr: true }

/** As {@link Cidr}, or with a mask that has holes, as rules take it: `2001::5601:0/ffff:ffff::ffff:0`. */
export type MaskedAddress = Cidr | (string & { readonly __masked: true })

/** A lower-case ASCII (IDNA) name without trailing dot, 2 labels or more, at most 253 characters. */
export type Hostname = string & { readonly __hostname: true }

export type Protocol = 'tcp' | 'udp' | 'icmp' | 'gre' | 'esp' | 'ah' | 'sctp'

/** What a rule may match in the transport header. `icmp` stands for ICMPv6 in the IPv6 family. */
export type PortSpec =
  | { readonly protocol: 'tcp' | 'udp'; readonly from: number; readonly to: number }
  | { readonly protocol: Exclude<Protocol, 'tcp' | 'udp'> }

/** A sorted, merged list of port specs; `text` (`80/tcp,443/tcp,8000-8100/tcp,icmp`) is its identity. */
export interface PortList {
  readonly text: string
  readonly specs: readonly PortSpec[]
}

export const familyOf = (text: Address | Cidr): Family => (text.includes(':') ? 6 : 4)
