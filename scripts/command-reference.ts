import type { Action } from '../src/cli/command.ts'
import { buildProgram } from '../src/cli/program.ts'

const nothing: Action<unknown> = async () => 0

/** `docs/commands.md`: the help of every command, as the program prints it. */
export function renderCommandReference(): string {
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
    cleanup: nothing,
    schema: nothing,
  }
  const program = buildProgram(actions, '0', async () => undefined)
  const sections = program.commands.map((command) => {
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
    ...sections,
  ].join('\n')
}
