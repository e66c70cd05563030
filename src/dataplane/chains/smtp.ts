import type { Config } from '../../config/model.ts'
import type { Match, Rule } from '../model.ts'
import { approved, denied } from '../verdict.ts'

export function smtpRules(smtp: NonNullable<Config['smtp']>): Rule[] {
  const ports: Match = {
    kind: 'ports',
    protocol: 'tcp',
    ranges: smtp.ports.map((port) => ({ from: port, to: port })),
  }
  const { count, per } = smtp.rate
  // The kernel keeps the old settings of a table that it already knows by name: hence the settings are in the name.
  const table = `embargod-smtp-${smtp.per}-${count}-${per}-${smtp.burst}`
  const budget = `${count}/${per}, burst ${smtp.burst}, ${smtp.per === 'container' ? 'each container' : 'all together'}`
  return [
    denied(
      'smtp',
      [
        ports,
        // A live connection that is judged again after a reload is no new mail.
        { kind: 'state', states: ['ESTABLISHED', 'RELATED'], negate: true },
        {
          kind: 'hashlimit',
          limit: {
            name: table,
            side: 'above',
            count,
            per,
            burst: smtp.burst,
            bySource: smtp.per === 'container',
          },
        },
      ],
      `mail over ${budget}`,
      'smtp.over',
    ),
    ...(smtp.destinations === 'any'
      ? [approved('smtp.any', 'mail within the budget, to anyone', [ports])]
      : []),
  ]
}
