import { cidrContains } from '../../net/cidr.ts'
import { familyOf, type Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { Rule } from '../model.ts'
import * as names from '../names.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'
import { dnsRules } from './dns.ts'
import { metadataOf, metadataRules } from './metadata.ts'
import { smtpRules } from './smtp.ts'

/** The order of this chain is the product: see the contract of each step beside it. */
export function judgeRules(input: BuildInput, family: Family): Rule[] {
  const { smtp } = input.config
  const resolvers = input.resolvers.filter((address) => familyOf(address) === family)
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
    ...metadataRules(metadata),
    rule({
      key: 'admitted',
      matches: [
        { kind: 'state', states: ['ESTABLISHED'] },
        { kind: 'direction', direction: 'ORIGINAL' },
        { kind: 'connmark', value: names.generationMark(input.generation), mask: names.GENERATION_MASK },
      ],
      target: { kind: 'return' },
      action: 'return',
      words: 'connection admitted under the rules in force',
    }),
    approved('linger', 'connection to an address that has expired since', [
      { kind: 'state', states: ['ESTABLISHED'] },
      { kind: 'set', set: names.lingerSet(family), fields: 'src,dst,dst' },
    ]),
    rule({
      key: 'unapprove',
      target: { kind: 'clearMark', bit: input.config.guard.mark },
      action: 'continue',
      words: 'only what follows may approve',
    }),
    // Container ports are veth; an uplink that somebody put into the bridge is not, and what leaves by it is judged.
    approved('bridged', 'between containers of one network', [{ kind: 'bridged', out: 'veth+' }]),
    ...input.config.never
      .filter((cidr) => familyOf(cidr) === family)
      .map((cidr) => denied('never', [{ kind: 'destination', cidr }], `never: ${cidr}`, `never.${cidr}`)),
    ...(smtp ? smtpRules(smtp, family) : []),
    ...dnsRules(resolvers.filter((address) => !metadata.some((cidr) => cidrContains(cidr, address)))),
    ...input.policies.policies.map((policy) =>
      rule({
        key: `policy.${policy.id}`,
        policy: policy.id,
        target: { kind: 'goto', chain: names.policyChain(policy.id) },
        action: 'continue',
        words: `policy ${policy.id}`,
      }),
    ),
  ]
}
