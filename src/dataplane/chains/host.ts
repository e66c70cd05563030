import { CLASS_MASK, type HostServices } from '../../config/model.ts'
import { cidrContains } from '../../net/cidr.ts'
import { LOOPBACK } from '../../net/ranges.ts'
import { familyOf, type Cidr, type Family } from '../../net/types.ts'
import { COMMON } from '../../policy/compile.ts'
import type { BuildInput } from '../build-input.ts'
import { ECHO_REQUEST } from '../icmp.ts'
import type { Match, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { matchesOfPorts } from '../ports.ts'
import { rule } from '../rule.ts'
import { denied } from '../verdict.ts'
import { dnsMatches, dnsRules } from './dns.ts'
import { toGateway } from './gateway.ts'
import { metadataOf, metadataRules } from './metadata.ts'

/** What containers may reach on the host itself. Every packet is judged: a service that is closed is closed for those who are connected. */
export function hostRules(input: BuildInput, family: Family): Rule[] {
  const metadata = metadataOf(input, family)
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
    ...metadataRules(reachable),
    ...(services === 'all'
      ? [passes('all', 'guard.hostServices is all', [])]
      : [
          ...ownTraffic(family),
          ...dnsOfHost(resolvers.filter((address) => !isMetadata(address))),
          ...listed(services, family),
          denied('policy', [], 'not in guard.hostServices', 'host.deny'),
        ]),
  ]
}

const passes = (key: string, text: string, matches: readonly Match[]): Rule =>
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

function ownTraffic(family: Family): Rule[] {
  return [
    passes('reply', 'reply to the host, which connected', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'direction', direction: 'REPLY' },
    ]),
    passes('related', 'ICMP error of a known connection', [
      { kind: 'protocol', protocol: 'icmp' },
      { kind: 'state', states: ['RELATED'] },
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

/** A published port is a relay: who has nothing of what is common has nothing of it either. */
export function publishedRules({ rights }: BuildInput): Rule[] {
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
        [{ kind: 'mark', value: names.classMark(id), mask: CLASS_MASK }],
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
