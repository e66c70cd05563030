import type { Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { Chain, RuleMatch, Rule, RuleTarget } from '../model.ts'
import * as names from '../names.ts'
import type { DenyReason } from '../names.ts'
import { rule } from '../rule.ts'

/** Counts a packet for its network, copies it to the log group, and refuses it. The chain is reached by goto only, so no packet returns from it. */
export function denyRules(
  input: BuildInput,
  reason: DenyReason,
  family: Family,
  how = input.config.denyWith,
): Rule[] {
  const prefix = `embargod deny ${reason}`
  const rejects = reason === 'metadata' || (reason !== 'forged' && reason !== 'smtp' && how === 'reject')
  const last = (key: string, target: RuleTarget, matches: readonly RuleMatch[] = []): Rule =>
    rule({
      key: `deny.${reason}.${key}`,
      matches,
      target,
      action: target.kind === 'reject' ? 'reject' : 'drop',
      words: `${reason}: ${target.kind === 'reject' ? 'refused' : 'dropped'}`,
    })
  return [
    rule({
      key: `deny.${reason}.network`,
      matches: [{ kind: 'set', set: names.deniedSet(reason, family), fields: 'src,src' }],
      action: 'count',
      words: `${reason}: counted by network`,
    }),
    ...(input.config.log.blocked
      ? [
          rule({
            key: `deny.${reason}.log`,
            matches: [{ kind: 'hashlimit', limit: logLimit(reason) }],
            target: { kind: 'log', prefix, group: names.NFLOG_GROUP },
            action: 'log',
            words: `${reason}: told, 10 a second for each source`,
          }),
        ]
      : []),
    ...(rejects
      ? [
          last('reset', { kind: 'reject', how: 'reset' }, [{ kind: 'protocol', protocol: 'tcp' }]),
          last('prohibited', { kind: 'reject', how: 'prohibited' }),
        ]
      : []),
    // An answer that cannot be sent (to a broadcast, to an odd packet) leaves the packet in the chain: it ends here.
    last('drop', { kind: 'drop' }),
  ]
}

/** Where to go for what is denied in this way. */
export const denyTarget = (input: BuildInput, how: 'drop' | 'reject'): string =>
  how === input.config.denyWith ? names.denyChain('policy') : names.denyChainOf(how)

export function otherDenyChains(input: BuildInput, family: Family): Chain[] {
  const ways = new Set(input.rights?.classes.map(({ denyWith }) => denyWith))
  ways.delete(input.config.denyWith)
  return [...ways].map((how) => ({
    table: 'filter',
    name: names.denyChainOf(how),
    rules: denyRules(input, 'policy', family, how),
  }))
}

const logLimit = (reason: DenyReason) =>
  ({
    name: `embargod-log-${reason}`,
    side: 'upto',
    count: 10,
    per: 'second',
    burst: 20,
    bySource: true,
  }) as const
