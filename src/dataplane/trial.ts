import { FAMILIES, type Family } from '../net/types.ts'
import type { Chain, Dataplane, Hook, RuleMatch, Rule, Ruleset } from './model.ts'
import { beforeTrialChain, trialSet } from './names.ts'
import { rule } from './rule.ts'

/**
 * The rules of a config on trial, with the rules before it beside them. Each chain that differs first asks a set that runs empty when the trial
 * ends. From then on the chain as it was before decides, even if no daemon is left to write it again.
 */
export function besideBefore(tried: Dataplane, before: Dataplane): Dataplane {
  const named = new Set(tried.sets.map(({ name }) => name))
  const [four, six] = FAMILIES.map((family) => withBefore(tried.rules[family], before.rules[family], family))
  return {
    ...tried,
    rules: { 4: four ?? tried.rules[4], 6: six ?? tried.rules[6] },
    // The backstop has no time-outs, so it leaves alone what either config leaves alone, and the rules decide.
    backstop: {
      ...tried.backstop,
      open: [
        ...tried.backstop.open,
        ...before.backstop.open.filter(({ name }) => !tried.backstop.open.some((one) => one.name === name)),
      ],
      stacked: tried.backstop.stacked.filter((name) => before.backstop.stacked.includes(name)),
    },
    // Asked by the rules before it alone.
    sets: [...tried.sets, ...before.sets.filter(({ name }) => !named.has(name))],
  }
}

function withBefore(tried: Ruleset, before: Ruleset, family: Family): Ruleset {
  const isHooked = (chain: Chain, hooks: readonly Hook[]): boolean =>
    hooks.some(({ rule: jump }) => jump.target?.kind === 'jump' && jump.target.chain === chain.name)
  const chains = tried.chains.flatMap((chain): Chain[] => {
    const other = before.chains.find((one) => isSame(one, chain))
    if (!other)
      return isHooked(chain, tried.hooks)
        ? [{ ...chain, rules: [passedBy(family, 'over'), ...chain.rules] }]
        : [chain]
    if (JSON.stringify(chain.rules) === JSON.stringify(other.rules)) return [chain]
    const name = beforeTrialChain(chain.name)
    return [
      { ...chain, rules: [toBefore(name, family), ...chain.rules] },
      { ...other, name },
    ]
  })
  const gone = before.chains.filter((chain) => !tried.chains.some((one) => isSame(one, chain)))
  const hooks = before.hooks.filter(({ rule: { key } }) => !tried.hooks.some((one) => one.rule.key === key))
  return {
    chains: [
      ...chains,
      ...gone.map((chain) =>
        isHooked(chain, before.hooks) ? { ...chain, rules: [passedBy(family, 'on'), ...chain.rules] } : chain,
      ),
    ],
    hooks: [...tried.hooks, ...hooks],
  }
}

const isSame = (one: Chain, other: Chain): boolean => one.table === other.table && one.name === other.name

const onTrial = (family: Family, isOver: boolean): RuleMatch => ({
  kind: 'set',
  set: trialSet(family),
  fields: 'dst',
  ...(isOver ? { negate: true } : {}),
})

const toBefore = (chain: string, family: Family): Rule =>
  rule({
    key: 'trial.over',
    matches: [onTrial(family, true)],
    target: { kind: 'goto', chain },
    action: 'continue',
    words: 'the trial is over: as it was before',
  })

/** A chain that only one of the two configs has is skipped while the other config is in force. */
const passedBy = (family: Family, when: 'on' | 'over'): Rule =>
  rule({
    key: `trial.${when}`,
    matches: [onTrial(family, when === 'over')],
    target: { kind: 'return' },
    action: 'return',
    words: when === 'on' ? 'not under the config on trial' : 'the trial is over: it was not there before',
  })
