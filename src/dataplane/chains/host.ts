import { classMark } from '../../config/marks.ts'
import type { HostServices } from '../../config/model.ts'
import { cidrContains } from '../../net/cidr.ts'
import { metadataOf } from '../../net/metadata.ts'
import { LOOPBACK } from '../../net/ranges.ts'
import { familyOf, type Cidr, type Family } from '../../net/types.ts'
import { COMMON } from '../../policy/compile.ts'
import type { BuildInput } from '../build-input.ts'
import { ECHO_REQUEST } from '../icmp.ts'
import type { RuleMatch, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { matchesOfPorts } from '../ports.ts'
import { rule } from '../rule.ts'
import { denied } from '../verdict.ts'
import { dnsMatches, dnsRules } from './dns.ts'
import { toGateway } from './gateway.ts'
import { metadataRules } from './metadata.ts'

/** What containers may reach on the host itself. Every packet is judged, so closing a service also cuts its live connections. */
export function hostRules(input: BuildInput, family: Family): Rule[] {
  const metadata = metadataOf(input.config.metadata, family)
  // Its own link-local IPv6 addresses are how containers find their gateway.
  const reachable = metadata.map((cidr) => (cidr === 'fe80::/10' ? ('fe80::a9fe:a9fe' as Cidr) : cidr))
  const resolvers = input.config.dns.gateway
    ? []
    : input.resolvers.filter((address) => familyOf(address) === family)
  const isMetadata = (address: (typeof resolvers)[number]): boolean =>
    metadata.some((cidr) => cidrContains(cidr, address))
  const services = input.config.guard.hostServices
  return [
    ...toGateway(input),
    ...dnsMatches(resolvers.filter(isMetadata)).map(({ key, matches, text }) => passes(key, text, matches)),
    ...metadataRules(reachable, family),
    unreachable(family),
    ...(services === 'all'
      ? [...notToTheHost(family), passes('all', 'guard.hostServices is all', [])]
      : [
          ...ownTraffic(family),
          ...dnsOfHost(resolvers.filter((address) => !isMetadata(address))),
          ...listed(services, family),
          denied('policy', [], 'not in guard.hostServices', 'host.deny'),
        ]),
  ]
}

const passes = (key: string, text: string, matches: readonly RuleMatch[]): Rule =>
  rule({ key: `host.${key}`, matches, target: { kind: 'return' }, action: 'return', words: text })

/** Multicast listeners tell what they hear, and neighbours find each other. A router is nobody in there: advertisements stay out. */
const NEIGHBOURS: readonly (readonly [type: number, text: string])[] = [
  [135, 'neighbour solicitation'],
  [136, 'neighbour advertisement'],
  [133, 'router solicitation'],
  [131, 'multicast listener report'],
  [132, 'multicast listener done'],
  [143, 'multicast listener report, version 2'],
]

/** ICMP types by which a sender tells the kernel what becomes of its connections, or where its routes lead. */
const TELLS_THE_KERNEL: Readonly<Record<Family, readonly (readonly [type: number, text: string])[]>> = {
  4: [
    [3, 'destination unreachable'],
    [4, 'source quench'],
    [5, 'redirect'],
    [11, 'time exceeded'],
    [12, 'parameter problem'],
  ],
  6: [
    [1, 'destination unreachable'],
    [2, 'packet too big'],
    [3, 'time exceeded'],
    [4, 'parameter problem'],
    [134, 'router advertisement'],
    [137, 'redirect'],
  ],
}

/**
 * Packets in packets that nobody has to prove himself for: IPv4, IPv6, GRE, L2TP and MPLS by their protocol numbers, VXLAN and Geneve by their ports.
 * What comes out at a tunnel's end on the host comes from no guarded bridge any more.
 */
const TUNNELS = {
  protocols: [4, 41, 47, 115, 137],
  ports: [4789, 6081, 8472],
} as const

/** An ICMP error that says that the container's port is closed to which the host sent a packet. A container may report nothing about other connections of the host. */
const unreachable = (family: Family): Rule =>
  passes('unreachable', 'a closed port of the container, to the host that tried it', [
    { kind: 'icmpType', type: DESTINATION_UNREACHABLE[family] },
    { kind: 'state', states: ['RELATED'] },
    { kind: 'direction', direction: 'REPLY' },
    { kind: 'quotesOwn' },
  ])

const DESTINATION_UNREACHABLE = { 4: 3, 6: 1 } as const

/** Closed even where `guard.hostServices` is all: these are no services, and no container has anything to say about the host's connections and routes. */
const notToTheHost = (family: Family): Rule[] => [
  ...TELLS_THE_KERNEL[family].map(([type, text]) =>
    denied('policy', [{ kind: 'icmpType', type }], `${text}: no container tells the host`, `host.no.${type}`),
  ),
  ...TUNNELS.protocols.map((number) =>
    denied(
      'policy',
      [{ kind: 'protocolNumber', number }],
      `protocol ${number}: a tunnel that would end on the host`,
      `host.tunnel.${number}`,
    ),
  ),
  denied(
    'policy',
    [{ kind: 'ports', protocol: 'udp', ranges: TUNNELS.ports.map((port) => ({ from: port, to: port })) }],
    'a tunnel that would end on the host',
    'host.tunnel.udp',
  ),
]

function ownTraffic(family: Family): Rule[] {
  return [
    passes('reply', 'reply to the host, which connected', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'direction', direction: 'REPLY' },
    ]),
    ...(family === 4
      ? [passes('igmp', 'multicast listener report', [{ kind: 'protocol', protocol: 'igmp' }])]
      : NEIGHBOURS.map(([type, text]) => passes(`icmp.${type}`, text, [{ kind: 'icmpType', type }]))),
  ]
}

/** Where a name server in use is the host itself: new questions are limited as they are towards any other. */
const dnsOfHost = (resolvers: BuildInput['resolvers']): Rule[] => [
  ...dnsMatches(resolvers).map(({ key, matches, text }) =>
    passes(`${key}.known`, text, [...matches, { kind: 'state', states: ['ESTABLISHED'] }]),
  ),
  ...dnsRules(resolvers),
]

function listed({ published, ports }: HostServices, family: Family): Rule[] {
  const others = ports.specs.filter(({ protocol }) => protocol !== 'icmp')
  return [
    ...(others.length === ports.specs.length
      ? []
      : [passes('icmp', 'ping of the host', [{ kind: 'icmpType', type: ECHO_REQUEST[family] }])]),
    ...matchesOfPorts({ text: ports.text, specs: others }, family).map(({ key, matches }) =>
      passes(`service.${key}`, 'service of the host', matches),
    ),
    ...(published
      ? [
          // Published to the host's own loopback is meant for the host, even where a container has a route there.
          ...LOOPBACK[family].map((cidr) =>
            denied(
              'policy',
              [{ kind: 'destination', cidr }],
              'published to the host alone',
              `host.loopback.${cidr}`,
            ),
          ),
          rule({
            key: 'host.published',
            matches: [{ kind: 'set', set: names.publishedSet(family), fields: 'dst,dst' }],
            target: { kind: 'goto', chain: CHAIN.published },
            action: 'continue',
            words: 'a published port of a container',
          }),
        ]
      : []),
  ]
}

/** A published port is a relay to another container: a container without the common rights may not use it. */
export function publishedRules({ rights, config }: BuildInput): Rule[] {
  const { marks } = config.guard
  const closed = [
    ...(rights?.unknown === 'deny' ? [{ id: 0, whose: 'unknown sources' }] : []),
    ...(rights?.classes ?? [])
      .filter(({ policies }) => !policies.includes(COMMON))
      .map(({ id, policies }) => ({ id, whose: policies.join(', ') || 'those who have no rights' })),
  ]
  return [
    ...closed.map(({ id, whose }) =>
      denied(
        'policy',
        [{ kind: 'mark', value: classMark(marks, id), mask: marks.rights }],
        `no published port for ${whose}`,
        `published.${id}`,
      ),
    ),
    rule({
      key: 'published',
      target: { kind: 'return' },
      action: 'return',
      words: 'published port of a container',
    }),
  ]
}
