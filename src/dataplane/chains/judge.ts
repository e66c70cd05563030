import { cidrContains } from '../../net/cidr.ts'
import { metadataOf } from '../../net/metadata.ts'
import { neverOf } from '../../net/never.ts'
import { familyOf, type Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import { CLASS_MASK } from '../../config/model.ts'
import { COMMON } from '../../policy/compile.ts'
import type { Match, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied, passed } from '../verdict.ts'
import { dnsRules } from './dns.ts'
import { pastGateway } from './gateway.ts'
import { metadataForClasses, metadataRules } from './metadata.ts'
import { smtpRules } from './smtp.ts'

/** The order of this chain is the product: see the contract of each step beside it. */
export function judgeRules(input: BuildInput, family: Family, way: 'forward' | 'output' = 'forward'): Rule[] {
  const { smtp } = input.config
  // Who is on the host's network asks past the gateway, as the host does.
  const direct = way === 'output' || !input.config.dns.gateway
  const resolvers = direct ? input.resolvers.filter((address) => familyOf(address) === family) : []
  const metadata = metadataOf(input.config.metadata, family)
  return [
    ...(way === 'output' ? [classOfConnection] : []),
    // A far end that re-creates a revoked connection the other way round would make its packets replies: hence first.
    denied(
      'revoked',
      [{ kind: 'set', set: names.revokedSet(family), fields: 'src,dst,dst' }],
      'revoked flow',
    ),
    ...(way === 'output' ? [hostReply] : replyRules(input, family)),
    ...dnsRules(resolvers.filter((address) => metadata.some((cidr) => cidrContains(cidr, address)))),
    ...metadataForClasses(input, family),
    ...metadataRules(metadata, family),
    ...(way === 'output' ? ownHost(family) : []),
    ...admittedRules(input, family),
    toError,
    approved('linger', 'connection to an address that has expired since', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'set', set: names.lingerSet(family), fields: 'src,dst,dst' },
    ]),
    unapprove(input),
    ...(way === 'forward' ? [betweenPorts] : []),
    ...(direct ? [] : pastGateway(input)),
    ...neverOf(input.config.never, family).map((cidr) =>
      denied('never', [{ kind: 'destination', cidr }], `never: ${cidr}`, `never.${cidr}`),
    ),
    // Where rights differ, so may the limits on mail: they stand in the chain of each.
    ...(smtp && !input.rights ? smtpRules(smtp, family) : []),
    ...dnsRules(resolvers.filter((address) => !metadata.some((cidr) => cidrContains(cidr, address)))),
    input.rights ? toClass : toCommon,
  ]
}

/** Who may mark his own packets could bring an approval along. */
const unapprove = ({ config }: BuildInput): Rule =>
  rule({
    key: 'unapprove',
    target: { kind: 'clearMark', bit: config.guard.mark },
    action: 'continue',
    words: 'only what follows may approve',
  })

/**
 * Container ports are veth; an uplink that somebody put into the bridge is not, and what leaves by it is judged. That a packet was bridged says
 * nothing of its destination, so it is approved alone: the same connection may be routed with its next packet.
 */
const betweenPorts = rule({
  key: 'bridged',
  matches: [{ kind: 'bridged', out: 'veth+' }],
  target: { kind: 'goto', chain: CHAIN.bridged },
  action: 'allow',
  words: 'between containers of one network',
})

const isReply: readonly Match[] = [
  { kind: 'state', states: ['ESTABLISHED'] },
  { kind: 'direction', direction: 'REPLY' },
]

/** Who connects to a service on the host's network is the business of the host's own firewall. */
const hostReply = rule({
  key: 'reply',
  matches: isReply,
  target: { kind: 'return' },
  action: 'return',
  words: 'reply to a client of a service on the host network',
})

/**
 * Replies carry whatever the container likes, so they pass only to who was let in: through a published port, or as a container whose connection
 * these rules admitted. Any other reply is judged like a packet that the container sends by itself.
 */
function replyRules({ config }: BuildInput, family: Family): Rule[] {
  return [
    rule({
      key: 'reply',
      matches: [...isReply, { kind: 'state', states: ['DNAT'] }],
      target: { kind: 'return' },
      action: 'return',
      words: 'reply to a client of a published port',
    }),
    passed('reply.container', 'reply to another container whose connection was admitted', [
      ...isReply,
      wasAdmitted,
    ]),
    passed('reply.served', "reply to a client of a published port, by the container's own address", [
      ...isReply,
      { kind: 'set', set: names.servedSet(family), fields: 'src,src' },
    ]),
    ...(config.guard.inbound === 'any'
      ? [passed('reply.inbound', 'reply to anybody who connected: guard.inbound is any', isReply)]
      : []),
  ]
}

/** Below what forbids a destination: an error carries data like any other packet. */
const toError = rule({
  key: 'error',
  matches: [
    { kind: 'protocol', protocol: 'icmp' },
    { kind: 'state', states: ['RELATED'] },
  ],
  target: { kind: 'goto', chain: CHAIN.error },
  action: 'continue',
  words: 'ICMP error about a known connection',
})

/**
 * An ICMP error passes only from the container that received the packet it quotes, and only about a connection that passes itself: the kernel
 * takes whoever quotes a connection for related to it.
 */
export function errorRules({ generation, rights, config }: BuildInput): Rule[] {
  const about = (key: string, text: string, matches: readonly Match[]): Rule =>
    passed(`error.${key}`, `ICMP error ${text}`, [...matches, { kind: 'quotesOwn' }])
  const own = admittedConnection(generation)
  const admitted = 'about an admitted connection of its own'
  const isReply: Match = { kind: 'direction', direction: 'REPLY' }
  return [
    // The bridge holds those to their senders where it knows them.
    passed('error.bridged', 'ICMP error between containers of one network', [
      { kind: 'bridged', out: 'veth+' },
    ]),
    ...(rights
      ? [
          mixRights('error.compare', 'the rights of the connection against those of the container', own),
          about('own', admitted, [...own, { kind: 'mark', value: 0, mask: CLASS_MASK }]),
          mixRights('error.other', 'not the same', own),
        ]
      : [about('own', admitted, own)]),
    about('published', 'to a client of a published port', [isReply, { kind: 'state', states: ['DNAT'] }]),
    about('container', 'to another container whose connection was admitted', [isReply, wasAdmitted]),
    ...(config.guard.inbound === 'any'
      ? [about('inbound', 'to anybody who connected: guard.inbound is any', [isReply])]
      : []),
    denied('policy', [], 'ICMP error about a connection that is not its own', 'error.deny'),
  ]
}

/** In any generation: that of a live connection changes with its next packet. */
const wasAdmitted: Match = { kind: 'connmark', value: 0, mask: names.GENERATION_MASK, negate: true }

/** Of a connection that the container began and that was admitted in this generation. */
const admittedConnection = (generation: number): readonly Match[] => [
  { kind: 'direction', direction: 'ORIGINAL' },
  { kind: 'connmark', value: names.generationMark(generation), mask: names.GENERATION_MASK },
]

const mixRights = (key: string, text: string, matches: readonly Match[]): Rule =>
  rule({
    key,
    matches,
    target: { kind: 'mixConnmark', mask: CLASS_MASK },
    action: 'continue',
    words: text,
  })

/** What a socket still sends whose process has ended. The number in the packet says only that it is so. */
const classOfConnection = rule({
  key: 'orphan',
  matches: [{ kind: 'mark', value: names.CLASS_OF_CONNECTION, mask: CLASS_MASK }],
  target: { kind: 'takeMark', mask: CLASS_MASK },
  action: 'continue',
  words: 'its process has ended: by the rights of the connection',
})

/**
 * Health checks and the container's own ports are on the host, which cannot tell them from its other services. A published port is told, by its
 * number or by the DNAT that leads to a container. Such a packet still counts as one for the loopback, where it was routed before the DNAT, so
 * that it takes the address to say that a packet is for the host.
 */
const ownHost = (family: Family): Rule[] => [
  rule({
    key: 'own.published',
    matches: [
      TO_LOOPBACK,
      { kind: 'toHost' },
      { kind: 'set', set: names.publishedSet(family), fields: 'dst,dst' },
    ],
    target: { kind: 'goto', chain: CHAIN.published },
    action: 'continue',
    words: 'a published port of a container',
  }),
  rule({
    key: 'own.dnat',
    matches: [
      TO_LOOPBACK,
      { kind: 'state', states: ['DNAT'] },
      { kind: 'set', set: names.containersSet(family), fields: 'dst' },
    ],
    target: { kind: 'goto', chain: CHAIN.published },
    action: 'continue',
    words: 'a published port, led to its container',
  }),
  rule({
    key: 'own',
    matches: [TO_LOOPBACK, { kind: 'toHost' }],
    target: { kind: 'return' },
    action: 'return',
    words: 'to the host itself',
  }),
]

const TO_LOOPBACK: Match = { kind: 'out', name: 'lo' }

const toCommon = rule({
  key: `policy.${COMMON}`,
  policy: COMMON,
  target: { kind: 'goto', chain: names.policyChain(COMMON) },
  action: 'continue',
  words: `policy ${COMMON}`,
})

const toClass = rule({
  key: 'class',
  target: { kind: 'goto', chain: CHAIN.class },
  action: 'continue',
  words: 'by the rights of the container',
})

/**
 * A connection bears the number of its rights beside its generation, so that who takes over an address of somebody else takes over none of
 * his connections. No rule can compare two marks, but one can mix them.
 */
function admittedRules({ generation, rights, policies }: BuildInput, family: Family): Rule[] {
  const matches: readonly Match[] = [
    { kind: 'state', states: ['ESTABLISHED'] },
    ...admittedConnection(generation),
  ]
  const words = 'connection admitted under the rules in force'
  // The daemon begins a new generation when a right ends. Should it be gone by then, the set runs empty and the connections are judged
  // again by what the sets still hold. Asked in no other rule: it may run empty between two rules, and marks must not stay mixed.
  const untilEnd: readonly Match[] =
    policies.admittedUntilMs === undefined
      ? []
      : [{ kind: 'set', set: names.admittedSet(family), fields: 'dst' }]
  const passes = (more: readonly Match[]): Rule =>
    rule({
      key: 'admitted',
      matches: [...matches, ...more, ...untilEnd],
      target: { kind: 'return' },
      action: 'return',
      words,
    })
  if (!rights) return [passes([])]
  return [
    mixRights('admitted.compare', 'the rights of the connection against those of the container', matches),
    passes([{ kind: 'mark', value: 0, mask: CLASS_MASK }]),
    mixRights('admitted.other', 'not the same: it is judged again', matches),
  ]
}
