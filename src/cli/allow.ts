import type { Command } from 'commander'
import { formatDuration } from '../config/duration.ts'
import type { CallDaemon } from '../control/client.ts'
import type { AllowAnswer, AllowRequest } from '../control/protocol.ts'
import { parseDurationOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind } from './command.ts'
import { sanitise } from '../observe/sanitise.ts'
import { tellAftermath } from './aftermath.ts'
import { renderTable } from './table.ts'

export type AllowArgs = AllowRequest

const MAX_MS = 30 * 86_400_000

export const allowAction =
  (ask: CallDaemon, now: () => number): Action<AllowArgs> =>
  async (args, io) => {
    const answer = await ask<AllowAnswer>('allow', args)
    if (answer === undefined) {
      io.stderr.write('embargod: the daemon is not running\n')
      return EXIT.notRunning
    }
    if (args.action === 'add') io.stdout.write(`allowed anew: ${sanitise(args.entry)}\n`)
    if (args.action === 'revoke') io.stdout.write(`no longer: ${sanitise(args.entry)}\n`)
    tellAftermath(answer, io)
    if (answer.temporary.length === 0) {
      io.stdout.write('nothing is allowed temporarily\n')
      return EXIT.ok
    }
    const rows = answer.temporary.map(({ entry, untilMs }) => [
      entry,
      new Date(untilMs).toISOString(),
      formatDuration(Math.max(0, untilMs - now())),
    ])
    io.stdout.write(renderTable(['temporary entry', 'until', 'remaining'], rows))
    return EXIT.ok
  }

interface AllowOptions {
  readonly for?: number
  readonly list?: true
  readonly revoke?: string
}

export function defineAllow(program: Command, action: Action<AllowArgs>, bind: Bind): void {
  const command = program
    .command('allow')
    .description(
      'Break glass: allow an entry for every guarded container for a while. The right ends by itself.',
    )
    .argument(
      '[entry]',
      "as in the configuration's allow list: a name, an address or a network, with :port[/protocol] where needed",
    )
    .option('--for <duration>', 'how long, at most 30d', parseFor)
    .option('--list', 'show what is allowed temporarily')
    .option('--revoke <entry>', 'end one now')
    .action((entry: string | undefined, options: AllowOptions, self: Command) =>
      bind(action, requestOf(entry, options, self)),
    )
  explainUse(
    command,
    [
      'embargod allow api.github.com:443 --for 1h',
      'embargod allow --list',
      'embargod allow --revoke api.github.com:443',
    ],
    {
      0: 'done',
      1: 'the daemon does not answer; or it has accepted the change, the kernel does not hold it yet, and the daemon tries again',
      2: 'bad entry',
      5: 'the daemon is not running',
    },
  )
}

function requestOf(entry: string | undefined, options: AllowOptions, command: Command): AllowRequest {
  const wishes = [entry !== undefined, options.list === true, options.revoke !== undefined]
  if (wishes.filter(Boolean).length !== 1)
    command.error('error: give an entry, --list or --revoke, and only one of them')
  if (options.list) return { action: 'list' }
  if (options.revoke !== undefined) return { action: 'revoke', entry: options.revoke }
  if (options.for === undefined || entry === undefined)
    return command.error('error: say how long it is allowed, like --for 1h')
  return { action: 'add', entry, forMs: options.for }
}

const parseFor = (text: string): number => parseDurationOption(text, 1_000, MAX_MS, 'between 1s and 30d')
