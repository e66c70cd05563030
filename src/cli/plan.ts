import type { Command } from 'commander'
import { configOption, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

export interface PlanArgs extends ConfigArgs {
  readonly json: boolean
}

export function definePlan(program: Command, action: Action<PlanArgs>, bind: Bind): void {
  const command = configOption(program.command('plan'))
    .description('Show what the configuration would change in the kernel, and change nothing.')
    .option('--json', 'as JSON')
    .action((options: ConfigArgs & { readonly json?: true }) =>
      bind(action, { config: options.config, json: options.json === true }),
    )
  explainUse(command, ['embargod plan', 'embargod plan --config ./new.yaml --json'], {
    0: 'nothing to do',
    2: 'bad configuration',
    3: 'there are changes',
  })
}
