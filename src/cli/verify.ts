import type { Command } from 'commander'
import { explainUse } from './command.ts'
import type { Action, Bind, NoArgs } from './command.ts'

export function defineVerify(program: Command, action: Action<NoArgs>, bind: Bind): void {
  const command = program
    .command('verify')
    .description(
      'Prove it on the live host: from an endpoint of its own on a guarded network a forbidden packet must not reach ' +
        'the uplink, an allowed one must (and is stopped there). Fails when only one of the two guards stands.',
    )
    .action(() => bind(action, {}))
  explainUse(command, ['embargod verify'], { 0: 'proven', 7: 'not proven' })
}
