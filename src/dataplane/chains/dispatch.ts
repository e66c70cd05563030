import { classMark } from '../../config/marks.ts'
import type { GuardConfig } from '../../config/model.ts'
import type { BuildInput } from '../build-input.ts'
import type { Hook, RuleMatch, Rule } from '../model.ts'
import { CHAIN, denyChain } from '../names.ts'
import { rule } from '../rule.ts'

const ALWAYS_GUARDED = ['docker0', 'docker_gwbridge', 'br-+']

export const hooksOf = ({ mark }: Pick<GuardConfig, 'mark'>): readonly Hook[] => [
  hook('raw', ['PREROUTING'], CHAIN.raw, 'forged sources are dropped'),
  hook('filter', ['INPUT'], CHAIN.input, 'of the host containers reach what is allowed'),
  {
    ...hook('filter', ['DOCKER-USER', 'FORWARD'], CHAIN.forward, FORWARDED),
    // Budgets must not count a packet twice. The backstop clears the bit ahead of the filter table, so nobody brings it along.
    second: hook('filter', [], CHAIN.forward, `${FORWARDED}, where FORWARD did not approve it`, [
      { kind: 'mark', value: 0, mask: mark },
    ]).rule,
  },
]

const FORWARDED = 'containers reach what is allowed and nothing else'

/** What nobody marked passes it by. */
export const outputHook = ({ marks }: Pick<GuardConfig, 'marks'>): Hook =>
  hook('filter', ['OUTPUT'], CHAIN.output, 'containers on the network of the host', [
    { kind: 'mark', value: marks.hostNetwork, mask: marks.hostNetwork },
  ])

export function hook(
  table: Hook['table'],
  parents: readonly string[],
  chain: string,
  text: string,
  matches: readonly RuleMatch[] = [],
): Hook {
  return {
    table,
    parents,
    rule: rule({
      key: `hook.${chain.toLowerCase()}`,
      matches,
      target: { kind: 'jump', chain },
      action: 'continue',
      words: text,
    }),
  }
}

/** From any packet to those of guarded networks. What is left alone comes first, since `br-+` is wider than Docker's names. */
export function dispatch(input: BuildInput, chain: string, first: readonly Rule[] = []): Rule[] {
  const { guarded, stacked } = input.interfaces
  const judged = [
    ...ALWAYS_GUARDED,
    ...[...guarded, ...stacked].filter((name) => !isAlwaysGuarded(name)).toSorted(),
  ]
  return [
    ...input.interfaces.open.map((open) =>
      rule({
        key: `open.${open.name}`,
        matches: [{ kind: 'in', name: open.name }],
        target: { kind: 'return' },
        action: 'return',
        words: `${open.name} is left alone: ${open.why}`,
      }),
    ),
    ...first,
    ...judged.map((name) =>
      rule({
        key: `guard.${name.replace('+', '')}`,
        matches: [{ kind: 'in', name }],
        target: { kind: 'goto', chain },
        action: 'continue',
        words: `guarded: ${name.replace('+', '*')}`,
      }),
    ),
  ]
}

/** Where no port can be told from another: the mark of the class that all containers of the network have. */
export const byNetwork = ({ classOfBridge, config: { guard } }: BuildInput): Rule[] =>
  [...(classOfBridge ?? [])].toSorted().map(([name, id]) =>
    rule({
      key: `network.${name}`,
      matches: [{ kind: 'in', name }],
      target: { kind: 'mark', value: classMark(guard.marks, id), mask: guard.marks.rights },
      action: 'continue',
      words: `${name}: all of one network have the same rights`,
    }),
  )

const isAlwaysGuarded = (name: string): boolean =>
  name === 'docker0' || name === 'docker_gwbridge' || name.startsWith('br-')

/**
 * Bridges hand frames to these addresses to the host as coming from the port itself, so that no rule about the bridge sees them. Nobody sends IP
 * that way but to get past such rules.
 */
export const reservedFrames: Rule = rule({
  key: 'reserved',
  matches: [{ kind: 'in', name: 'veth+' }, { kind: 'reservedFrame' }],
  target: { kind: 'goto', chain: denyChain('forged') },
  action: 'continue',
  words: 'a frame to an address that no bridge forwards',
})

export function sourceRules(): Rule[] {
  return [
    rule({
      key: 'forged',
      matches: [{ kind: 'forgedSource' }],
      target: { kind: 'goto', chain: denyChain('forged') },
      action: 'continue',
      words: 'source does not route back through its interface',
    }),
  ]
}
