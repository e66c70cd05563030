import type { Family } from '../../net/types.ts'
import type { BuildInput } from '../build-input.ts'
import type { Match, Rule, Target } from '../model.ts'
import * as names from '../names.ts'
import type { DenyReason } from '../names.ts'
import { rule } from '../rule.ts'

/** Counted by network, told to who listens, refused. Reached by goto only: nothing comes back from here. */
export function denyRules(input: BuildInput, reason: DenyReason, family: Family): Rule[] {
  const prefix = `embargod deny ${reason}`
  const rejects =
    reason === 'metadata' || (reason !== 'forged' && reason !== 'smtp' && input.config.denyWith === 'reject')
  const last = (key: string, target: Target, matches: readonly Match[] = []): Rule =>
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

const logLimit = (reason: DenyReason) =>
  ({
    name: `embargod-log-${reason}`,
    side: 'upto',
    count: 10,
    per: 'second',
    burst: 20,
    bySource: true,
  }) as const
