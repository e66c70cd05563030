import { classMark } from '../../config/marks.ts'
import { BINDINGS_TABLE, shortHash } from '../../dataplane/names.ts'
import type { Bindings } from '../../dataplane/model.ts'
import { bytesOf } from '../../net/address.ts'
import { familyOf, type Address } from '../../net/types.ts'
import {
  AGAIN_SETS,
  againElement,
  againInSync,
  chainsFor,
  renderAgain,
  type SavedAgain,
} from './rights-again.ts'

/** What the kernel holds of the bindings. */
export interface SavedBindings {
  /** The fingerprint of each rule in order; undefined stands for a rule that is not ours. */
  readonly fingerprints: readonly (string | undefined)[]
  /** Elements by set, each as {@link elementsOf} writes it. */
  readonly elements: ReadonlyMap<string, ReadonlySet<string>>
  /** Where the rights are looked up again ahead of the filter table. */
  readonly again: SavedAgain
  readonly dropped: Dropped
}

/** Frames, by why: of a port that is somebody's, or of one that is nobody's and that used what is somebody's. */
export interface Dropped {
  readonly forged: number
  readonly claimed: number
}

const TARGET = '@nh,384,128'
/** Where the packet that an ICMP error quotes was going: behind headers of 20 and 8, or of 40 and 8 bytes. */
const QUOTED = { 4: '@nh,352,32', 6: '@nh,576,128' } as const
const SETS: Readonly<Record<string, string>> = {
  ports: 'set ports { type ifname; }',
  spared: 'set spared { type ifname; }',
  macs: 'set macs { type ifname . ether_addr; }',
  takenMacs: 'set takenMacs { type ether_addr; }',
  rights4: 'map rights4 { type ifname . ether_addr . ipv4_addr : mark; }',
  rights6: 'map rights6 { type ifname . ether_addr . ipv6_addr : mark; }',
  // The target of an advertisement has no name in older tools, and their sets of raw bytes know no addresses.
  targets6: `set targets6 { typeof iifname . ether saddr . ${TARGET}; }`,
  quotes4: `set quotes4 { typeof iifname . ether saddr . ${QUOTED[4]}; }`,
  quotes6: `set quotes6 { typeof iifname . ether saddr . ${QUOTED[6]}; }`,
  taken4: 'set taken4 { type ipv4_addr; }',
  taken6: 'set taken6 { type ipv6_addr; }',
  takenTargets6: `set takenTargets6 { typeof ${TARGET}; }`,
  gatewayTargets6: `set gatewayTargets6 { typeof ${TARGET}; }`,
}

const SET_NAMES: ReadonlySet<string> = new Set([...Object.keys(SETS), ...Object.keys(AGAIN_SETS)])

interface BindingRule {
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
 * A frame says from whom it is three times, and a container can write all three: only its port cannot be chosen. The packet gets no mark here, or
 * the host's rules for routing by marks would see it.
 */
const RULES: readonly BindingRule[] = [
  { chain: 'ingress', match: 'iifname @ports', verdict: 'goto known', words: 'a container that is known' },
  // A container may have chosen the hardware address of a router on a bridge that is nobody's business here.
  { chain: 'ingress', match: 'iifname @spared', verdict: 'accept', words: 'of a bridge that is left alone' },
  // The bridge would send that container's frames here from then on. Of which bridge it is not every kernel can tell.
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
  // The kernels of others believe whoever quotes a connection of theirs.
  {
    chain: 'known',
    match: `${ERROR[4]} ip hdrlength != 5`,
    verdict: forged,
    words: 'an ICMP error that hides what it quotes',
  },
  // The bridge puts nothing together, and the first part may end ahead of the address that is quoted.
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

/**
 * The table as one transaction that replaces whatever of it is there.
 * @param rights the bits of packets' marks that tell them
 */
export function renderBindings(wanted: Elements, dropped: Dropped, rights: number): string {
  const lines = (chain: BindingRule['chain']): string[] =>
    RULES.filter((rule) => rule.chain === chain).map(
      (rule) =>
        `    ${[rule.match, rule.verdict].filter(Boolean).join(' ')} comment "${rule.words} [${fingerprint(rule)}]"`,
    )
  return [
    removeBindings,
    `table bridge ${BINDINGS_TABLE} {`,
    `  counter forged { packets ${dropped.forged} bytes 0 }`,
    `  counter claimed { packets ${dropped.claimed} bytes 0 }`,
    ...Object.values(SETS).map((text) => `  ${text}`),
    '  chain known {',
    ...lines('known'),
    '  }',
    '  chain ingress {',
    // Ahead of where the bridge learns which address is behind which port.
    '    type filter hook prerouting priority -300; policy accept;',
    ...lines('ingress'),
    '  }',
    '}',
    ...renderAgain(rights),
    ...elementLines('add', wanted, rights),
    '',
  ].join('\n')
}

/** An earlier version had no table of the family inet. */
export const removeBindings = ['bridge', 'inet']
  .flatMap((family) => [`table ${family} ${BINDINGS_TABLE} {}`, `delete table ${family} ${BINDINGS_TABLE}`])
  .join('\n')

/** What turns one into the other; empty when they are the same. One transaction: nothing stands between. */
export function changeBindings(before: Elements, after: Elements, rights: number): string {
  const only = (these: Elements, those: Elements): Elements =>
    new Map(
      [...these].map(([set, values]) => [
        set,
        new Set([...values].filter((one) => !those.get(set)?.has(one))),
      ]),
    )
  const lines = [
    ...elementLines('delete', only(before, after), rights),
    ...elementLines('add', only(after, before), rights),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

export type Elements = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Every element by its set, in the spelling of the kernel's tool; that of a map with its value behind a colon.
 * @param rights the bits of packets' marks that tell them
 */
export function elementsOf({ ports, gateways, spared }: Bindings, rights: number): Elements {
  const sets = new Map([...SET_NAMES].map((set) => [set, new Set<string>()]))
  const add = (set: string, ...parts: readonly string[]): void => void sets.get(set)?.add(parts.join(' . '))
  const take = (address: Address, more?: 'gatewayTargets6'): void => {
    const family = familyOf(address)
    add(`taken${family}`, address)
    if (family === 4) return
    add('takenTargets6', targetOf(address))
    if (more) add(more, targetOf(address))
  }
  for (const port of spared) add('spared', `"${port}"`)
  for (const address of gateways) take(address, 'gatewayTargets6')
  const marks = new Map<string, number>()
  for (const { port: name, mac, address, class: id } of ports) {
    const family = familyOf(address)
    const mark = classMark({ rights }, id)
    // Without quotes a name that begins with a digit is none.
    const port = `"${name}"`
    add('ports', port)
    add('macs', port, mac)
    add('takenMacs', mac)
    add(`rights${family}`, port, mac, `${address} : ${hex(mark)}`)
    // Two ports that share both and have different rights cannot be told apart there, so neither has any.
    const sender = `${mac} ${address}`
    const other = marks.get(sender)
    if (other !== undefined && other !== mark)
      sets.get(`again${family}`)?.delete(againElement(mac, address, other))
    else if (other === undefined) add(`again${family}`, againElement(mac, address, mark))
    marks.set(sender, other === undefined || other === mark ? mark : -1)
    take(address)
    add(`quotes${family}`, port, mac, family === 4 ? `${numberOf(address)}` : targetOf(address))
    if (family === 6) add('targets6', port, mac, targetOf(address))
  }
  return sets
}

/** The kernel's tool lists 32 bits without a name as one number. */
const numberOf = (address: Address): number =>
  bytesOf(address).reduce((number, byte) => number * 256 + byte, 0)

const targetOf = (address: Address): string =>
  `0x${bytesOf(address)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')}`

/**
 * Those of sets that we have: a later or an earlier version may have had others. Where rights are not looked up as they ought to be, the numbers may
 * lie in other bits, and would be the rights of somebody else: then there are none.
 */
export const ourElements = ({ elements, again }: SavedBindings, rights: number): Elements =>
  againInSync(again, rights) ? new Map([...elements].filter(([set]) => SET_NAMES.has(set))) : new Map()

/** How many addresses are bound. */
export const addressesIn = (elements: Elements): number =>
  (elements.get('rights4')?.size ?? 0) + (elements.get('rights6')?.size ?? 0)

/** The marks that the kernel gives to addresses. */
export function marksByAddress({ elements }: SavedBindings): Map<Address, number> {
  const marks = new Map<Address, number>()
  for (const set of ['rights4', 'rights6']) {
    for (const element of elements.get(set) ?? []) {
      const [, address, mark] = / (\S+) : (0x[0-9a-f]+)$/.exec(element) ?? []
      if (address !== undefined) marks.set(address as Address, Number(mark))
    }
  }
  return marks
}

/** Is what the kernel holds what would be written, but for its elements? */
export const bindingRulesInSync = ({ fingerprints, again }: SavedBindings, rights: number): boolean =>
  againInSync(again, rights) &&
  fingerprints.length === RULES.length &&
  IN_ORDER.every((value, index) => value === fingerprints[index])

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

const fingerprint = ({ match, verdict, words }: BindingRule): string =>
  shortHash(`${match} ${verdict} ${words}`)

/** As the kernel lists them: chain by chain. */
const IN_ORDER = (['known', 'ingress'] as const).flatMap((chain) =>
  RULES.filter((rule) => rule.chain === chain).map(fingerprint),
)

function elementLines(verb: 'add' | 'delete', elements: Elements, rights: number): string[] {
  return [...elements].flatMap(([set, values]) => {
    if (values.size === 0) return []
    const isAgain = Object.hasOwn(AGAIN_SETS, set)
    return [
      ...(isAgain && verb === 'add' ? chainsFor(values, rights) : []),
      `${verb} element ${isAgain ? 'inet' : 'bridge'} ${BINDINGS_TABLE} ${set} { ${[...values].join(', ')} }`,
    ]
  })
}
