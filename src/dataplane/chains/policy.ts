import { BRIDGED, generationMark } from '../../config/marks.ts'
import type { Family, PortList } from '../../net/types.ts'
import { COMMON } from '../../policy/compile.ts'
import type { Policy } from '../../policy/model.ts'
import type { BuildInput } from '../build-input.ts'
import type { RuleMatch, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { matchesOfPorts } from '../ports.ts'
import { PRIVATE_RANGES } from '../private-ranges.ts'
import { rule } from '../rule.ts'
import { approved, denied } from '../verdict.ts'

export interface AllowRulesOptions {
  /** In the words of rules and metrics. */
  readonly whose: string
  readonly policies: readonly Policy[]
  readonly denyChain: string
}

/** What these policies allow together, and nothing else: the chain ends in a denial. */
export function allowRules(
  input: BuildInput,
  { whose, policies, denyChain }: AllowRulesOptions,
  family: Family,
): Rule[] {
  const allow = policies.flatMap(({ id, groups }) =>
    groups.flatMap(({ ports }) =>
      matchesOfPorts(ports, family).map(({ key, matches }) =>
        approved(
          `allow.${of(id)}${names.shortHash(ports.text, 6)}.${key}`,
          `allow ${id}: ${shorten(ports)}`,
          [{ kind: 'set', set: names.allowSet(id, ports, family), fields: 'dst' }, ...matches],
          id,
        ),
      ),
    ),
  )
  const internet = policies.flatMap((policy) =>
    policy.internet.flatMap((ports) =>
      matchesOfPorts(ports, family).map(({ key, matches }) =>
        rule({
          key: `internet.${of(policy.id)}${names.shortHash(ports.text, 6)}.${key}`,
          policy: policy.id,
          matches: [...whileItLasts(policy, ports, family), ...matches],
          target: { kind: 'jump', chain: CHAIN.internet },
          action: 'continue',
          words: `allow ${policy.id}: internet ${shorten(ports)}${policy.internetEnds?.has(ports.text) ? ', for a while' : ''}`,
        }),
      ),
    ),
  )
  const approvedAbove = rule({
    key: 'internet.approved',
    policy: whose,
    matches: [{ kind: 'mark', value: input.config.guard.mark, mask: input.config.guard.mark }],
    target: { kind: 'return' },
    action: 'return',
    words: 'approved above',
  })
  return [
    ...allow,
    ...internet,
    ...(internet.length > 0 ? [approvedAbove] : []),
    denied('policy', [], `not allowed by ${whose}`, 'deny', whose, denyChain),
  ]
}

/** A rule has no time-out in the kernel, so a right that expires asks a set whose elements do. */
const whileItLasts = ({ id, internetEnds }: Policy, ports: PortList, family: Family): RuleMatch[] =>
  internetEnds?.has(ports.text)
    ? [{ kind: 'set', set: names.internetSet(id, ports, family), fields: 'dst' }]
    : []

/** Rules of the common policy have the same keys as on a host without policies. */
const of = (policy: string): string => (policy === COMMON ? '' : `${policy}.`)

const shorten = (ports: PortList): string =>
  ports.text.length > 60 ? `${ports.text.slice(0, 57)}...` : ports.text

/** Returns on private and odd space, approves the rest. */
export function internetRules(family: Family): Rule[] {
  return [
    ...PRIVATE_RANGES[family].map((cidr) =>
      rule({
        key: `internet.not.${cidr}`,
        matches: [{ kind: 'destination', cidr }],
        target: { kind: 'return' },
        action: 'return',
        words: `${cidr} is not the internet`,
      }),
    ),
    approved('internet', 'anything on the internet', []),
  ]
}

const approve = ({ config }: BuildInput): Rule =>
  rule({
    key: 'ok.mark',
    target: { kind: 'setMark', bit: config.guard.mark },
    action: 'continue',
    words: 'approved: the backstop lets it pass',
  })

/** Approves a packet and leaves its connection as it is. */
export const passRules = (input: BuildInput): Rule[] => [approve(input)]

/** A connection that somebody related to an admitted one (a helper of the kernel) inherits its mark: what is bridged must not profit by that. */
export const bridgedRules = (input: BuildInput): Rule[] => [
  rule({
    key: 'bridged.connection',
    target: {
      kind: 'setConnmark',
      value: generationMark(input.config.guard.marks, BRIDGED),
      mask: input.config.guard.marks.generation,
    },
    action: 'continue',
    words: 'its connection is admitted nowhere else',
  }),
  approve(input),
]

/** Approves a packet and admits its connection: reached only by a verdict about that destination. */
export function okRules(input: BuildInput): Rule[] {
  const { marks } = input.config.guard
  const kept = rule({
    key: 'ok.class',
    target: { kind: 'keepMark', mask: marks.rights },
    action: 'continue',
    words: 'admitted for these rights',
  })
  // The other side opened the connection, so the verdict is about this packet alone.
  const replies = rule({
    key: 'ok.reply',
    matches: [{ kind: 'direction', direction: 'REPLY' }],
    target: { kind: 'return' },
    action: 'return',
    words: 'a reply admits no connection',
  })
  return [
    approve(input),
    replies,
    ...(input.rights ? [kept] : []),
    rule({
      key: 'ok.generation',
      target: {
        kind: 'setConnmark',
        value: generationMark(marks, input.generation),
        mask: marks.generation,
      },
      action: 'continue',
      words: `admitted in generation ${input.generation}`,
    }),
  ]
}
