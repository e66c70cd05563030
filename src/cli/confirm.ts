import type { Command } from 'commander'
import type { CallDaemon } from '../control/client.ts'
import type { ConfirmAnswer } from '../control/protocol.ts'
import { EXIT, explainUse } from './command.ts'
import type { Action, Bind, NoArgs } from './command.ts'
import { tellAftermath } from './aftermath.ts'

export const confirmAction =
  (ask: CallDaemon): Action<NoArgs> =>
  async (_args, io) => {
    const answer = await ask<ConfirmAnswer>('confirm')
    if (answer?.confirmed) {
      io.stdout.write('confirmed\n')
      tellAftermath(answer, io)
      return EXIT.ok
    }
    io.stderr.write(
      answer === undefined
        ? 'embargod: the daemon is not running\n'
        : 'embargod: no configuration is on trial: it was kept already, or it is too late (see `embargod status`)\n',
    )
    return EXIT.failed
  }

export function defineConfirm(program: Command, action: Action<NoArgs>, bind: Bind): void {
  const command = program
    .command('confirm')
    .description('Keep the configuration that `run --confirm` or `reload --confirm` would take back.')
    .action(() => bind(action, {}))
  explainUse(command, ['embargod confirm'], {
    0: 'the configuration stays',
    1: 'nothing is on trial, the daemon is not running or does not answer, or the kernel does not hold it yet',
  })
}
