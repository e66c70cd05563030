import { InvalidArgumentError, Option, type Command } from 'commander'
import { parseAddress } from '../net/address.ts'
import type { Address } from '../net/types.ts'
import { explainUse } from './command.ts'
import type { Action, Bind } from './command.ts'

export interface SetupDnsArgs {
  /** Undefined: the host's own on the engine's default bridge. */
  readonly address: Address | undefined
  /** Undefined: the file that the running engine uses. */
  readonly file: string | undefined
  readonly restart: boolean
  readonly dryRun: boolean
}

interface SetupDnsOptions {
  readonly address?: Address
  readonly file?: string
  readonly restart?: true
  readonly dryRun?: true
}

export function defineSetupDns(program: Command, action: Action<SetupDnsArgs>, bind: Bind): void {
  const command = program
    .command('setup-dns')
    .description(
      'Write "dns" into the daemon.json of the Docker engine. The engine then sends its questions from the networks of containers, where ' +
        'the DNS gateway sees them, and not from the host. Everything else in the file stays, and the previous file is kept beside it.',
    )
    .option(
      '--address <address>',
      'an IPv4 address that containers can route to (default: that of docker0)',
      parseServer,
    )
    .option('--file <file>', 'the file (default: that of the running engine, or /etc/docker/daemon.json)')
    .addOption(new Option('--restart', 'restart Docker when the file was changed').conflicts('dryRun'))
    .option('--dry-run', 'print the new file and write nothing')
    .action(({ address, file, restart, dryRun }: SetupDnsOptions) =>
      bind(action, { address, file, restart: restart === true, dryRun: dryRun === true }),
    )
  explainUse(
    command,
    ['embargod setup-dns --dry-run', 'embargod setup-dns', 'embargod setup-dns --restart'],
    {
      0: 'written, or already right',
      1: 'failed; the file is unchanged unless the message says that it is written',
    },
  )
}

/** @throws InvalidArgumentError for what is no address, or one that leads nowhere from a container */
function parseServer(text: string): Address {
  const address = parseAddress(text)
  // Engines before 26 pass over IPv6 servers, and then ask those of the host.
  if (address === undefined || address.includes(':')) throw new InvalidArgumentError('not an IPv4 address')
  if (/^(127\.|0\.0\.0\.0$)/.test(address)) throw new InvalidArgumentError('containers have no route to it')
  return address
}
