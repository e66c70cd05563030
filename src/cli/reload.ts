import type { Command } from 'commander'
import { formatProblem } from '../config/problem.ts'
import type { CallDaemon } from '../control/client.ts'
import type { ReloadAnswer } from '../control/protocol.ts'
import { sanitise } from '../observe/sanitise.ts'
import { confirmOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfirmArgs } from './command.ts'
import { tellAftermath } from './aftermath.ts'

export const reloadAction =
  (ask: CallDaemon): Action<ConfirmArgs> =>
  async (request, io) => {
    const answer = await ask<ReloadAnswer>('reload', request)
    if (answer === undefined) {
      io.stderr.write('embargod: the daemon is not running\n')
      return EXIT.failed
    }
    for (const problem of answer.problems) io.stdout.write(`${formatProblem(problem)}\n`)
    switch (answer.outcome) {
      case 'applied':
        io.stdout.write(`reloaded${onTrial(answer)}\n`)
        for (const change of answer.changes ?? []) io.stdout.write(`${sanitise(change)}\n`)
        tellAftermath(answer, io)
        return EXIT.ok
      case 'unchanged':
        io.stdout.write(`reloaded; nothing changed${onTrial(answer)}\n`)
        tellAftermath(answer, io)
        return EXIT.ok
      case 'refused':
        io.stderr.write('embargod: refused; the configuration accepted last stays in force\n')
        return EXIT.badConfig
      case 'failed':
        io.stderr.write(`embargod: the kernel did not take it: ${sanitise(answer.detail ?? 'see the log')}\n`)
        tellAftermath(answer, io)
        return EXIT.failed
    }
  }

const onTrial = ({ confirmUntilMs }: ReloadAnswer): string =>
  confirmUntilMs === undefined
    ? ''
    : `; on trial until ${new Date(confirmUntilMs).toISOString()}: \`embargod confirm\` keeps it`

export function defineReload(program: Command, action: Action<ConfirmArgs>, bind: Bind): void {
  const command = confirmOption(program.command('reload'))
    .description(
      'Make the daemon read its configuration again, as SIGHUP does, and wait for the outcome: what changed, which names do not work now, and what could not be saved. ' +
        'Without --confirm the file is accepted for good, even if it is on trial. SIGHUP leaves a trial as it is, and accepts nothing that still has to be confirmed.',
    )
    .action(({ confirm }: { readonly confirm?: number }) =>
      bind(action, confirm === undefined ? {} : { confirmMs: confirm }),
    )
  explainUse(command, ['embargod reload', 'embargod reload --confirm 60s'], {
    0: 'the new configuration is in force',
    1: 'the daemon is not running or does not answer, or the kernel did not accept the rules',
    2: 'bad configuration; the previous one stays in force',
  })
}
