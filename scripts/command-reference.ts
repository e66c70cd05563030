import type { Command } from 'commander'
import type { Action } from '../src/cli/command.ts'
import { buildProgram } from '../src/cli/program.ts'

const nothing: Action<unknown> = async () => 0

/** The command line as the program defines it, with commands that do nothing. */
export function referenceProgram(): Command {
  const actions = {
    run: nothing,
    check: nothing,
    plan: nothing,
    status: nothing,
    rules: nothing,
    explain: nothing,
    allow: nothing,
    verify: nothing,
    reload: nothing,
    confirm: nothing,
    cleanup: nothing,
    setupDns: nothing,
    schema: nothing,
  }
  return buildProgram(actions, '0', async () => undefined)
}

/** `docs/commands.md`: the help of every command, as the program prints it. */
export function renderCommandReference(): string {
  const sections = referenceProgram().commands.map((command) => {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 100 })
    command.outputHelp()
    return `## embargod ${command.name()}\n\n\`\`\`text\n${help.trimEnd()}\n\`\`\`\n`
  })
  return [
    '# Commands',
    '',
    'Misuse of the command line ends with 64, any other failure with 1. Commands that ask the daemon do so over a unix socket that only',
    'root can reach; the daemon is the one of the same network namespace. Colour is for terminals only, and `NO_COLOR` turns it off.',
    '',
    'Where the daemon does not answer, commands say so after two seconds. `status`, `plan`, `explain` and `verify` then tell what the kernel',
    'and the saved state say, and end as they do without a daemon; the others end with 1, and the daemon will not do later what they asked.',
    '',
    ...sections,
  ].join('\n')
}
