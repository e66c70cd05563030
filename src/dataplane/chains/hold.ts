import type { BuildInput } from '../build-input.ts'
import type { Chain, Rule } from '../model.ts'
import { CHAIN, HELD_PACKET, HOLD_QUEUE } from '../names.ts'
import { rule } from '../rule.ts'
import { dispatch } from './dispatch.ts'

/**
 * While the daemon runs, packets of a port without rights bear the number of that port in their mark. From guarded bridges they go to the queue of the daemon,
 * which has them judged again without that mark; from other bridges only the mark is removed. All of this comes before connection tracking, in which a second
 * packet that waits would clash with the first one.
 */
export function holdRules({ holds }: BuildInput): Rule[] {
  if (!holds) return []
  return [
    rule({
      key: 'fresh',
      matches: [{ kind: 'mark', value: HELD_PACKET, mask: HELD_PACKET }],
      target: { kind: 'jump', chain: CHAIN.fresh },
      action: 'continue',
      words: 'from a port without rights',
    }),
  ]
}

export function holdChains(input: BuildInput): Chain[] {
  if (!input.holds) return []
  return [
    {
      table: 'raw',
      name: CHAIN.fresh,
      rules: [
        ...dispatch(input, CHAIN.hold).map(takesMark),
        unmarked('fresh.other', 'of a bridge that is not guarded'),
      ],
    },
    {
      table: 'raw',
      name: CHAIN.hold,
      rules: [
        rule({
          key: 'hold',
          target: { kind: 'queue', queue: HOLD_QUEUE },
          action: 'hold',
          words: 'until its rights are known, for guard.holdNew at most',
        }),
      ],
    },
    { table: 'raw', name: CHAIN.unheld, rules: [unmarked('unheld', 'of a bridge that is left alone')] },
  ]
}

/** A bridge that is left alone returns from its dispatch; here its packets lose the mark before that. */
const takesMark = (one: Rule): Rule =>
  one.target?.kind === 'return'
    ? { ...one, target: { kind: 'goto', chain: CHAIN.unheld }, action: 'continue' }
    : one

const unmarked = (key: string, words: string): Rule =>
  rule({ key, target: { kind: 'mark', value: 0, mask: ALL }, action: 'continue', words })

const ALL = 0xffffffff
