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
 * A connection bears its class beside its generation, so that a container that gets the address of another one does not inherit its connections.
 * No rule can compare two marks, but a rule can mix them (exclusive or).
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
 * While marks are mixed, no rule may ask for anything that can change between two rules: on another processor another packet of the connection may get
 * the generation, and an element of a set may expire. The mark would stay mixed, and would be read as another class.
 */
const begun: readonly RuleMatch[] = [
  { kind: 'state', states: ['ESTABLISHED'] },
  { kind: 'direction', direction: 'ORIGINAL' },
]

/**
 * A connection of this container to an address that has expired since. A container that gets its address must not inherit it, so the class is
 * compared as for any admitted connection.
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
 * The daemon begins a new generation when a right ends. Without a daemon the set runs empty then, and connections are judged again by what the sets
 * still hold. The set is never asked while marks are mixed: it may run empty between two rules, and the marks would stay mixed.
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
