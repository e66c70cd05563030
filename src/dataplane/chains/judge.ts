import { cidrContains } from '../../net/cidr.ts'
import { metadataOf } from '../../net/metadata.ts'
import { neverOf } from '../../net/never.ts'
import { familyOf, type Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import { CLASS_OF_CONNECTION, classMark } from '../../config/marks.ts'
import { COMMON } from '../../policy/compile.ts'
import type { RuleMatch, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { denied } from '../verdict.ts'
import { admittedRules, toLinger } from './admitted.ts'
import { dnsRules } from './dns.ts'
import { pastGateway } from './gateway.ts'
import { metadataForClasses, metadataRules } from './metadata.ts'
import { hostReply, toError, toReply, toVerdict } from './replies.ts'
import { smtpRules } from './smtp.ts'

/** Packets that a container sends through the host. Replies are separated first, so that other packets need not pass their rules. */
export const judgeRules = (family: Family): Rule[] => [revoked(family), toReply, toVerdict]

/** What a container on the host's network sends. */
export const outputRules = (input: BuildInput, family: Family): Rule[] => [
  classOfConnection(input),
  revoked(family),
  hostReply,
  ...verdictRules(input, family, 'output'),
]

/** The order of this chain is the product: see the contract of each step beside it. */
export function verdictRules(input: BuildInput, family: Family, way: 'forward' | 'output'): Rule[] {
  const { smtp } = input.config
  // Containers on the host's network ask name servers directly, as the host does.
  const direct = way === 'output' || !input.config.dns.gateway
  const resolvers = direct ? input.resolvers.filter((address) => familyOf(address) === family) : []
  const metadata = metadataOf(input.config.metadata, family)
  return [
    ...dnsRules(resolvers.filter((address) => metadata.some((cidr) => cidrContains(cidr, address)))),
    ...metadataForClasses(input, family),
    ...metadataRules(metadata, family),
    ...(way === 'output' ? ownHost(family) : []),
    ...admittedRules(input, family),
    toError,
    ...toLinger(input, family),
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

/** Comes before all else: a far end that re-creates a revoked connection the other way round would turn its packets into replies. */
const revoked = (family: Family): Rule =>
  denied('revoked', [{ kind: 'set', set: names.revokedSet(family), fields: 'src,dst,dst' }], 'revoked flow')

/** A container that may mark its own packets could set the approval bit itself. */
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

/** What a socket still sends whose process has ended. The number in the packet says only that it is so. */
const classOfConnection = ({ config: { guard } }: BuildInput): Rule =>
  rule({
    key: 'orphan',
    matches: [{ kind: 'mark', value: classMark(guard.marks, CLASS_OF_CONNECTION), mask: guard.marks.rights }],
    target: { kind: 'takeMark', mask: guard.marks.rights },
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

const TO_LOOPBACK: RuleMatch = { kind: 'out', name: 'lo' }

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
