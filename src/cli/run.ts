import type { Command } from 'commander'
import { configOption, confirmOption, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs, ConfirmArgs } from './command.ts'

export type RunArgs = ConfigArgs & ConfirmArgs

export function defineRun(program: Command, action: Action<RunArgs>, bind: Bind): void {
  const command = confirmOption(configOption(program.command('run')))
    .description(
      'Run the daemon in the foreground. Logs are JSON on stdout, or lines for people on a terminal. ' +
        'SIGHUP reloads, SIGTERM stops and leaves the rules in force. With --confirm and no previous configuration ' +
        'to return to, all rules are removed again.',
    )
    .action(({ config, confirm }: ConfigArgs & { readonly confirm?: number }) =>
      bind(action, { config, ...(confirm === undefined ? {} : { confirmMs: confirm }) }),
    )
  explainUse(
    command,
    ['embargod run', 'embargod run --config ./embargod.yaml', 'embargod run --confirm 60s'],
    {
      0: 'stopped',
      1: 'failed, or the very first configuration was not confirmed',
      2: 'bad configuration, and no accepted one to fall back on: the host stays closed',
    },
  )
}
