import type { Config } from '../../config/model.ts'
import type { Family } from '../../net/types.ts'
import type { Hashlimit, Match, Rule } from '../model.ts'
import { containersSet } from '../names.ts'
import { approved, denied } from '../verdict.ts'

type Smtp = NonNullable<Config['smtp']>

/**
 * New connections over the budget end here. A container can send in the name of every address of its subnet that is nobody's: a budget
 * for each of those would be no limit at all, and would fill the kernel's table, so they have one together.
 */
export function smtpRules(smtp: Smtp, family: Family): Rule[] {
  const ports: Match = {
    kind: 'ports',
    protocol: 'tcp',
    ranges: smtp.ports.map((port) => ({ from: port, to: port })),
  }
  const over = (key: string, whose: string, bySource: boolean, ...source: Match[]): Rule =>
    denied(
      'smtp',
      [
        ports,
        // A live connection that is judged again after a reload is no new mail.
        { kind: 'state', states: ['ESTABLISHED', 'RELATED'], negate: true },
        ...source,
        { kind: 'hashlimit', limit: budgetOf(smtp, key, bySource) },
      ],
      `mail over ${smtp.rate.count}/${smtp.rate.per}, burst ${smtp.burst}, ${whose}`,
      `smtp.${key}`,
    )
  const container: Match = { kind: 'set', set: containersSet(family), fields: 'src' }
  return [
    ...(smtp.per === 'container'
      ? [
          over('over', 'each container', true, container),
          over('others', 'all that are no container together', false, { ...container, negate: true }),
        ]
      : [over('over', 'all together', false)]),
    ...(smtp.destinations === 'any'
      ? [approved('smtp.any', 'mail within the budget, to anyone', [ports])]
      : []),
  ]
}

const UNIT_MS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
/** What the kernel takes is 32 bits wide. */
const LONGEST_MS = 2 ** 32 - 1

function budgetOf({ per, burst, rate }: Smtp, key: string, bySource: boolean): Hashlimit {
  return {
    // The kernel keeps the old settings of a table that it already knows by name: hence the settings are in the name.
    name: `embargod-mail-${per}-${key}-${rate.count}-${rate.per}-${burst}`,
    side: 'above',
    count: rate.count,
    per: rate.per,
    burst,
    bySource,
    // Forgotten before it is full again, a budget would be whole too soon.
    expireMs: Math.min(Math.ceil(Math.max(1, burst / rate.count) * UNIT_MS[rate.per]), LONGEST_MS),
  }
}
