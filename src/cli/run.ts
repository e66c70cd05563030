import type { Command } from 'commander'
import { configOption, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

export function defineRun(program: Command, action: Action<ConfigArgs>, bind: Bind): void {
  const command = configOption(program.command('run'))
    .description(
      'Run the daemon in the foreground. Logs are JSON on stdout, or lines for people on a terminal. ' +
        'SIGHUP reloads, SIGTERM stops and leaves the rules in force.',
    )
    .action((options: ConfigArgs) => bind(action, { config: options.config }))
  explainUse(command, ['embargod run', 'embargod run --config ./embargod.yaml'], {
    0: 'stopped',
    1: 'failed',
    2: 'bad configuration, and none accepted earlier to fall back on: the host stays closed',
  })
}
