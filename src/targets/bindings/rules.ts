import { shortHash } from '../../dataplane/names.ts'

const TARGET = '@nh,384,128'
/** The destination of the packet that an ICMP error quotes: behind headers of 20 and 8 bytes, or of 40 and 8. */
const QUOTED = { 4: '@nh,352,32', 6: '@nh,576,128' } as const
/** Sets of the bridge table, as they are declared. */
export const SETS: Readonly<Record<string, string>> = {
  ports: 'set ports { type ifname; }',
  spared: 'set spared { type ifname; }',
  macs: 'set macs { type ifname . ether_addr; }',
  takenMacs: 'set takenMacs { type ether_addr; }',
  rights4: 'map rights4 { type ifname . ether_addr . ipv4_addr : mark; }',
  rights6: 'map rights6 { type ifname . ether_addr . ipv6_addr : mark; }',
  // Older versions of nft have no name for the target of an advertisement, and their sets of raw bytes take no addresses.
  targets6: `set targets6 { typeof iifname . ether saddr . ${TARGET}; }`,
  quotes4: `set quotes4 { typeof iifname . ether saddr . ${QUOTED[4]}; }`,
  quotes6: `set quotes6 { typeof iifname . ether saddr . ${QUOTED[6]}; }`,
  taken4: 'set taken4 { type ipv4_addr; }',
  taken6: 'set taken6 { type ipv6_addr; }',
  takenTargets6: `set takenTargets6 { typeof ${TARGET}; }`,
  gatewayTargets6: `set gatewayTargets6 { typeof ${TARGET}; }`,
}

export interface BindingRule {
  readonly chain: 'ingress' | 'known'
  readonly match: string
  readonly verdict: string
  readonly words: string
}

const forged = 'counter name forged drop'
const claimed = 'counter name claimed drop'

const ERROR = {
  4: 'icmp type { destination-unreachable, source-quench, time-exceeded, parameter-problem }',
  6: 'icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }',
} as const

/**
 * A frame names its sender up to three times (Ethernet, ARP, IP), and a container can write all three. Only its port cannot be chosen. The packet
 * gets no mark here, or the host's rules for routing by marks would see it.
 */
export const RULES: readonly BindingRule[] = [
  { chain: 'ingress', match: 'iifname @ports', verdict: 'goto known', words: 'a container that is known' },
  // On a bridge that is left alone, a container may have chosen the hardware address of a router.
  { chain: 'ingress', match: 'iifname @spared', verdict: 'accept', words: 'of a bridge that is left alone' },
  // From then on the bridge would send frames for that container to this port. Not every kernel can match the bridge, so this holds on all of them.
  {
    chain: 'ingress',
    match: 'ether saddr @takenMacs',
    verdict: claimed,
    words: 'the hardware address of a container, from elsewhere',
  },
  {
    chain: 'ingress',
    match: 'ip saddr @taken4',
    verdict: claimed,
    words: 'the address of a container, from elsewhere',
  },
  {
    chain: 'ingress',
    match: 'arp saddr ip @taken4',
    verdict: claimed,
    words: 'the address of a container, claimed from elsewhere',
  },
  {
    chain: 'ingress',
    match: 'ip6 saddr @taken6',
    verdict: claimed,
    words: 'the address of a container, from elsewhere',
  },
  {
    chain: 'ingress',
    match: 'icmpv6 type nd-neighbor-advert ip6 nexthdr != ipv6-icmp',
    verdict: claimed,
    words: 'an advertisement that hides its target',
  },
  {
    chain: 'ingress',
    match: `icmpv6 type nd-neighbor-advert ${TARGET} @takenTargets6`,
    verdict: claimed,
    words: 'the address of a container, claimed from elsewhere',
  },
  {
    chain: 'ingress',
    match: 'iifname "veth*" icmpv6 type { nd-router-advert, nd-redirect }',
    verdict: claimed,
    words: 'no container is a router',
  },
  {
    chain: 'known',
    match: 'iifname . ether saddr != @macs',
    verdict: forged,
    words: 'not the hardware address of this port',
  },
  {
    chain: 'known',
    match: 'icmp type redirect',
    verdict: forged,
    words: 'no container is a router',
  },
  // The kernel of another container believes an error that quotes one of its connections.
  {
    chain: 'known',
    match: `${ERROR[4]} ip hdrlength != 5`,
    verdict: forged,
    words: 'an ICMP error that hides what it quotes',
  },
  // The bridge does not reassemble fragments, and the first one may end before the quoted address.
  {
    chain: 'known',
    match: `${ERROR[4]} ip frag-off & 0x2000 != 0`,
    verdict: forged,
    words: 'an ICMP error in parts',
  },
  {
    chain: 'known',
    match: `${ERROR[4]} iifname . ether saddr . ${QUOTED[4]} != @quotes4`,
    verdict: forged,
    words: 'an ICMP error about a packet to somebody else',
  },
  {
    chain: 'known',
    match: 'iifname . ether saddr . ip saddr @rights4',
    verdict: 'accept',
    words: 'its own address',
  },
  {
    chain: 'known',
    match: 'iifname . arp saddr ether . arp saddr ip @rights4',
    verdict: 'accept',
    words: 'ARP for its own address',
  },
  {
    chain: 'known',
    match: 'iifname . arp saddr ether @macs arp saddr ip 0.0.0.0',
    verdict: 'accept',
    words: 'ARP that asks whether an address is free',
  },
  {
    chain: 'known',
    match: 'icmpv6 type { nd-router-advert, nd-redirect }',
    verdict: forged,
    words: 'no container is a router',
  },
  {
    chain: 'known',
    match: 'icmpv6 type nd-neighbor-advert ip6 nexthdr != ipv6-icmp',
    verdict: forged,
    words: 'an advertisement that hides its target',
  },
  {
    chain: 'known',
    match: `icmpv6 type nd-neighbor-advert ${TARGET} @gatewayTargets6`,
    verdict: forged,
    words: 'the address of the bridge',
  },
  {
    chain: 'known',
    match: `icmpv6 type nd-neighbor-advert iifname . ether saddr . ${TARGET} != @targets6 @nh,384,16 and 0xffc0 != 0xfe80`,
    verdict: forged,
    words: 'the address of somebody else',
  },
  {
    chain: 'known',
    match: `${ERROR[6]} ip6 nexthdr != ipv6-icmp`,
    verdict: forged,
    words: 'an ICMP error that hides what it quotes',
  },
  {
    chain: 'known',
    match: `${ERROR[6]} iifname . ether saddr . ${QUOTED[6]} != @quotes6 @nh,576,16 and 0xffc0 != 0xfe80`,
    verdict: forged,
    words: 'an ICMP error about a packet to somebody else',
  },
  {
    chain: 'known',
    match: 'iifname . ether saddr . ip6 saddr @rights6',
    verdict: 'accept',
    words: 'its own address',
  },
  { chain: 'known', match: 'ip6 saddr fe80::/10', verdict: 'accept', words: 'on the link, without rights' },
  {
    chain: 'known',
    match:
      'ip6 saddr :: icmpv6 type { nd-neighbor-solicit, mld-listener-report, mld-listener-done, mld2-listener-report }',
    verdict: 'accept',
    words: 'an address that is not its own yet',
  },
  { chain: 'known', match: '', verdict: forged, words: 'neither its address nor anything it needs' },
]

export const fingerprint = ({ match, verdict, words }: BindingRule): string =>
  shortHash(`${match} ${verdict} ${words}`)

/** The fingerprints of all rules, as the kernel lists them: chain by chain. */
export const FINGERPRINTS = (['known', 'ingress'] as const).flatMap((chain) =>
  RULES.filter((rule) => rule.chain === chain).map(fingerprint),
)
