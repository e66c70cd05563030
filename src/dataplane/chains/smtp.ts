import type { Config } from '../../config/model.ts'
import type { Family } from '../../net/types.ts'
import type { RuleMatch, Rule } from '../model.ts'
import { approved, denied } from '../verdict.ts'
import { budget, container, noContainer } from './budget.ts'

type Smtp = NonNullable<Config['smtp']>

/** New connections over the budget end here. */
export function smtpRules(smtp: Smtp, family: Family): Rule[] {
  const { per, rate, burst } = smtp
  const ports: RuleMatch = {
    kind: 'ports',
    protocol: 'tcp',
    ranges: smtp.ports.map((port) => ({ from: port, to: port })),
  }
  const over = (key: string, whose: string, bySource: boolean, ...source: RuleMatch[]): Rule =>
    denied(
      'smtp',
      [
        ports,
        // A live connection that is judged again after a reload is no new mail.
        { kind: 'state', states: ['ESTABLISHED', 'RELATED'], negate: true },
        ...source,
        budget({
          name: `embargod-mail-${per}-${key}-${rate.count}-${rate.per}-${burst}`,
          side: 'above',
          burst,
          bySource,
          rate,
        }),
      ],
      `mail over ${rate.count}/${rate.per}, burst ${burst}, ${whose}`,
      `smtp.${key}`,
    )
  return [
    ...(per === 'container'
      ? [
          over('over', 'each container', true, container(family)),
          over('others', 'all that are no container together', false, noContainer(family)),
        ]
      : [over('over', 'all together', false)]),
    ...(smtp.destinations === 'any'
      ? [approved('smtp.any', 'mail within the budget, to anyone', [ports])]
      : []),
  ]
}
