import type { Command } from 'commander'
import { explainUse } from './command.ts'
import type { Action, Bind } from './command.ts'

export interface RulesArgs {
  readonly raw: boolean
}

export function defineRules(program: Command, action: Action<RulesArgs>, bind: Bind): void {
  const command = program
    .command('rules')
    .description('List the firewall in words, numbered, with packets and bytes, for IPv4 and IPv6.')
    .option('--raw', 'as the kernel has it')
    .action((options: { readonly raw?: true }) => bind(action, { raw: options.raw === true }))
  explainUse(command, ['embargod rules', 'embargod rules --raw | grep EMBARGOD'], {
    0: 'listed',
    1: 'could not be read',
  })
}
