import type { Command } from 'commander'
import { configOption, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

export function defineVerify(program: Command, action: Action<ConfigArgs>, bind: Bind): void {
  const command = configOption(program.command('verify'))
    .description(
      'Prove on the live host that the firewall works. From an endpoint of its own on a guarded network, a forbidden packet must not reach ' +
        'the uplink, and an allowed one must (where it is stopped). Fails when only one of the two guards stands. ' +
        'Every guarded network is tried in both families, up to 32 networks; what is skipped is named with the reason.',
    )
    .action((options: ConfigArgs) => bind(action, { config: options.config }))
  explainUse(command, ['embargod verify'], {
    0: 'proven',
    7: 'not proven, or nothing could be tried',
  })
}
