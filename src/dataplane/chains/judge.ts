import { cidrContains } from '../../net/cidr.ts'
import { familyOf, type Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import { CLASS_MASK } from '../../config/model.ts'
import { COMMON } from '../../policy/compile.ts'
import type { Match, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'
import { dnsRules } from './dns.ts'
import { pastGateway } from './gateway.ts'
import { metadataForClasses, metadataOf, metadataRules } from './metadata.ts'
import { smtpRules } from './smtp.ts'

/** The order of this chain is the product: see the contract of each step beside it. */
export function judgeRules(input: BuildInput, family: Family, way: 'forward' | 'output' = 'forward'): Rule[] {
  const { smtp } = input.config
  // Who is on the host's network asks past the gateway, as the host does.
  const direct = way === 'output' || !input.config.dns.gateway
  const resolvers = direct ? input.resolvers.filter((address) => familyOf(address) === family) : []
  const metadata = metadataOf(input, family)
  return [
    // A far end that re-creates a revoked connection the other way round would make its packets replies: hence first.
    denied(
      'revoked',
      [{ kind: 'set', set: names.revokedSet(family), fields: 'src,dst,dst' }],
      'revoked flow',
    ),
    rule({
      key: 'reply',
      matches: [
        { kind: 'state', states: ['ESTABLISHED'] },
        { kind: 'direction', direction: 'REPLY' },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'reply to who connected from outside',
    }),
    rule({
      key: 'related',
      matches: [
        { kind: 'protocol', protocol: 'icmp' },
        { kind: 'state', states: ['RELATED'] },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'ICMP error of a known connection',
    }),
    ...dnsRules(resolvers.filter((address) => metadata.some((cidr) => cidrContains(cidr, address)))),
    ...metadataForClasses(input, family),
    ...metadataRules(metadata),
    ...(way === 'output' ? [ownHost] : []),
    ...admittedRules(input, family),
    approved('linger', 'connection to an address that has expired since', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'set', set: names.lingerSet(family), fields: 'src,dst,dst' },
    ]),
    unapprove(input),
    ...(way === 'forward' ? [bridged] : []),
    ...(direct ? [] : pastGateway(input)),
    ...input.config.never
      .filter((cidr) => familyOf(cidr) === family)
      .map((cidr) => denied('never', [{ kind: 'destination', cidr }], `never: ${cidr}`, `never.${cidr}`)),
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

/** Container ports are veth; an uplink that somebody put into the bridge is not, and what leaves by it is judged. */
const bridged = approved('bridged', 'between containers of one network', [{ kind: 'bridged', out: 'veth+' }])

/** Health checks and the container's own ports are on the host, which cannot tell them from its other services. */
const ownHost = rule({
  key: 'own',
  matches: [{ kind: 'out', name: 'lo' }],
  target: { kind: 'return' },
  action: 'return',
  words: 'to the host itself',
})

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
    { kind: 'direction', direction: 'ORIGINAL' },
    { kind: 'connmark', value: names.generationMark(generation), mask: names.GENERATION_MASK },
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
  const mix = (key: string, text: string): Rule =>
    rule({
      key,
      matches,
      target: { kind: 'mixConnmark', mask: CLASS_MASK },
      action: 'continue',
      words: text,
    })
  if (!rights) return [passes([])]
  return [
    mix('admitted.compare', 'the rights of the connection against those of the container'),
    passes([{ kind: 'mark', value: 0, mask: CLASS_MASK }]),
    mix('admitted.other', 'not the same: it is judged again'),
  ]
}
