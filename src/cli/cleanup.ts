import type { Command } from 'commander'
import { configOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

export interface CleanupArgs extends ConfigArgs {
  /** Stop a running daemon first, instead of refusing. */
  readonly stop: boolean
}

interface CleanupOptions extends CleanupArgs {
  readonly yes: boolean
}

/** Asks for confirmation before the host is opened, unless `--yes` was given. */
const asking =
  (action: Action<CleanupArgs>): Action<CleanupOptions> =>
  async ({ stop, yes, config }, io) => {
    if (!yes) {
      if (io.confirm === undefined) {
        io.stderr.write(
          'embargod: cleanup opens this host: without a terminal to confirm it on, it needs --yes\n',
        )
        return EXIT.failed
      }
      if (
        !(await io.confirm(
          'Remove every rule, chain and set of embargod? Containers can then reach anything.',
        ))
      ) {
        return EXIT.failed
      }
    }
    return action({ stop, config }, io)
  }

export function defineCleanup(program: Command, action: Action<CleanupArgs>, bind: Bind): void {
  const command = configOption(program.command('cleanup'))
    .description(
      'Remove every rule, chain and set of embargod, and nothing else. Refuses while the daemon runs.',
    )
    .option('--stop', 'stop a running daemon first')
    .option('-y, --yes', 'do not ask')
    .action((options: ConfigArgs & { readonly stop?: true; readonly yes?: true }) =>
      bind(asking(action), {
        stop: options.stop === true,
        yes: options.yes === true,
        config: options.config,
      }),
    )
  explainUse(command, ['embargod cleanup', 'embargod cleanup --stop --yes'], {
    0: 'nothing of embargod is left',
    1: 'refused, or something could not be removed',
  })
}
