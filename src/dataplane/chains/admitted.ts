import { generationMark } from '../../config/marks.ts'
import type { Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { RuleMatch, Rule } from '../model.ts'
import * as names from '../names.ts'
import { CHAIN } from '../names.ts'
import { rule } from '../rule.ts'
import { approved } from '../verdict.ts'

/** Connections that pass since they were admitted, with the rights that they were admitted for. */

/**
 * A connection bears the number of its rights beside its generation, so that who takes over an address of somebody else takes over none of
 * his connections. No rule can compare two marks, but one can mix them.
 */
export function admittedRules(input: BuildInput, family: Family): Rule[] {
  const { rights, config } = input
  const established: RuleMatch = { kind: 'state', states: ['ESTABLISHED'] }
  const matches: readonly RuleMatch[] = [established, ...admittedConnection(input)]
  const words = 'connection admitted under the rules in force'
  const passes = (more: readonly RuleMatch[]): Rule =>
    rule({
      key: 'admitted',
      matches: [...matches, ...more, ...untilEnd(input, family)],
      target: { kind: 'return' },
      action: 'return',
      words,
    })
  if (!rights) return [passes([])]
  return [
    mixRights(
      input,
      'admitted.compare',
      'the rights of the connection against those of the container',
      begun,
    ),
    passes([{ kind: 'mark', value: 0, mask: config.guard.marks.rights }]),
    mixRights(input, 'admitted.other', 'not the same: it is judged again', begun),
  ]
}

/**
 * Where marks are mixed nothing is asked that can change between two rules: another packet of the connection may be given the generation meanwhile,
 * on another processor, and an element of a set may run out. The mark would stay mixed, and would be somebody else's rights.
 */
const begun: readonly RuleMatch[] = [
  { kind: 'state', states: ['ESTABLISHED'] },
  { kind: 'direction', direction: 'ORIGINAL' },
]

/**
 * A connection to an address that has expired since, begun by this container. Who takes over its address takes over none of those, so that the
 * rights are compared as for any admitted connection.
 */
export function toLinger(input: BuildInput, family: Family): Rule[] {
  const words = 'connection to an address that has expired since'
  const lingers: readonly RuleMatch[] = [
    ...begun,
    { kind: 'set', set: names.lingerSet(family), fields: 'src,dst,dst' },
  ]
  if (!input.rights) return [approved('linger', words, lingers)]
  return [
    mixRights(input, 'linger.compare', 'the rights of the connection against those of the container', begun),
    rule({
      key: 'linger',
      matches: [...lingers, { kind: 'mark', value: 0, mask: input.config.guard.marks.rights }],
      target: { kind: 'goto', chain: CHAIN.linger },
      action: 'allow',
      words,
    }),
    mixRights(input, 'linger.other', 'not the same: it is judged again', begun),
  ]
}

/** Admitted once more, with the rights that it has. */
export const lingerRules = (input: BuildInput): Rule[] => [
  mixRights(input, 'linger.rights', 'the rights of the container again', []),
  approved('linger.ok', 'connection to an address that has expired since', []),
]

/**
 * The daemon begins a new generation when a right ends. Should it be gone by then, the set runs empty, and connections are judged again by what the
 * sets still hold. Never asked where marks are mixed: it may run empty between two rules, and they must not stay so.
 */
export const untilEnd = ({ policies }: BuildInput, family: Family): readonly RuleMatch[] =>
  policies.admittedUntilMs === undefined
    ? []
    : [{ kind: 'set', set: names.admittedSet(family), fields: 'dst' }]

/** Of a connection that the container began and that was admitted in this generation. */
export const admittedConnection = ({ config, generation }: BuildInput): readonly RuleMatch[] => [
  { kind: 'direction', direction: 'ORIGINAL' },
  {
    kind: 'connmark',
    value: generationMark(config.guard.marks, generation),
    mask: config.guard.marks.generation,
  },
]

export const mixRights = (
  { config }: BuildInput,
  key: string,
  text: string,
  matches: readonly RuleMatch[],
): Rule =>
  rule({
    key,
    matches,
    target: { kind: 'mixConnmark', mask: config.guard.marks.rights },
    action: 'continue',
    words: text,
  })
