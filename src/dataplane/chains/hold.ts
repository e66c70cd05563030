import type { BuildInput } from '../build-input.ts'
import type { Chain, Rule } from '../model.ts'
import { CHAIN, HELD_PACKET, HOLD_QUEUE } from '../names.ts'
import { rule } from '../rule.ts'
import { dispatch } from './dispatch.ts'

/**
 * What comes from a port without rights bears the number of that port in its mark, while a daemon lives that can hold it. From guarded bridges it goes
 * to that daemon, which gives it back with the mark of its rights; from any other the mark is taken off. All of it stands ahead of connection tracking,
 * which would take the second packet that waits for a rival of the first one.
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
