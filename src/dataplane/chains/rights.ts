import { classMark, type MarkLayout } from '../../config/marks.ts'
import type { Family } from '../../net/types.ts'
import type { RightsClass } from '../../policy/class-numbers.ts'
import { COMMON } from '../../policy/compile.ts'
import type { BuildInput } from '../build-input.ts'
import type { Chain, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { denied } from '../verdict.ts'
import { denyTarget } from './deny.ts'
import { allowRules } from './policy.ts'
import { smtpRules } from './smtp.ts'

/** So many rules in a row are as fast as a jump to fewer. */
const BLOCK = 16

/** A chain for each combination of rights, and the way to it by the mark that a packet has from its bridge. */
export function rightsChains(input: BuildInput, family: Family): Chain[] {
  const { rights } = input
  const filter = (name: string, rules: readonly Rule[]): Chain => ({ table: 'filter', name, rules })
  const common = filter(names.policyChain(COMMON), commonRules(input, family))
  if (!rights) return [common]
  return [
    ...dispatchChains(rights, input.config.guard.marks).map(({ name, rules }) => filter(name, rules)),
    common,
    ...rights.classes.map((one) => filter(names.classChain(one.id), classRules(input, one, family))),
  ]
}

function commonRules(input: BuildInput, family: Family): Rule[] {
  const { config, rights, policies } = input
  const mail = rights && config.smtp ? smtpRules(config.smtp, family) : []
  const common = policies.policies.filter(({ id }) => id === COMMON)
  const options = { whose: COMMON, policies: common, denyChain: names.denyChain('policy') }
  return [...mail, ...allowRules(input, options, family)]
}

function classRules(input: BuildInput, { policies, smtp, denyWith }: RightsClass, family: Family): Rule[] {
  const whose = policies.join(' ') || 'nobody'
  return [
    ...(smtp ? smtpRules(smtp, family) : []),
    ...allowRules(
      input,
      {
        whose,
        // A class may outlive a policy until the containers are looked at again.
        policies: policies.flatMap((id) => input.policies.policies.filter((one) => one.id === id)),
        denyChain: denyTarget(input, denyWith),
      },
      family,
    ),
  ]
}

type RightsMarks = Pick<MarkLayout, 'rights'>

function dispatchChains(
  { classes, unknown }: NonNullable<BuildInput['rights']>,
  marks: RightsMarks,
): { name: string; rules: Rule[] }[] {
  const otherwise =
    unknown === 'deny'
      ? denied('policy', [], 'no known container', 'unknown')
      : rule({
          key: 'unknown',
          policy: COMMON,
          target: { kind: 'goto', chain: names.policyChain(COMMON) },
          action: 'continue',
          words: 'no known container: what is common',
        })
  const toClasses = (some: readonly RightsClass[]): Rule[] => [
    ...some.map((one) => toClass(one, marks)),
    otherwise,
  ]
  if (classes.length <= BLOCK) return [{ name: CHAIN.class, rules: toClasses(classes) }]
  const blocks = [...new Set(classes.map(blockOf))]
  return [
    { name: CHAIN.class, rules: [...blocks.map((block) => toBlock(block, marks)), otherwise] },
    ...blocks.map((block) => ({
      name: names.classBlockChain(block),
      rules: toClasses(classes.filter((one) => blockOf(one) === block)),
    })),
  ]
}

const blockOf = ({ id }: RightsClass): number => Math.floor(id / BLOCK)

const toClass = ({ id, policies }: RightsClass, marks: RightsMarks): Rule =>
  rule({
    key: `class.${id}`,
    matches: [{ kind: 'mark', value: classMark(marks, id), mask: marks.rights }],
    target: { kind: 'goto', chain: names.classChain(id) },
    action: 'continue',
    words: `containers of ${policies.join(', ') || 'no policy'}`,
  })

const toBlock = (block: number, marks: RightsMarks): Rule =>
  rule({
    key: `classes.${block}`,
    matches: [
      {
        kind: 'mark',
        value: classMark(marks, block * BLOCK),
        mask: (marks.rights & ~classMark(marks, BLOCK - 1)) >>> 0,
      },
    ],
    target: { kind: 'goto', chain: names.classBlockChain(block) },
    action: 'continue',
    words: `classes ${block * BLOCK} to ${block * BLOCK + BLOCK - 1}`,
  })
