import type { Command } from 'commander'
import type { Config, Problem } from '../config/model.ts'
import { formatProblem } from '../config/problem.ts'
import { sanitise } from '../observe/sanitise.ts'
import { configOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

export type LoadConfig = (
  file: string,
) => Promise<{ readonly config?: Config; readonly problems: readonly Problem[] }>

/** Every problem on a line of its own, then the verdict: what the daemon would say of this file. Warnings alone do not refuse it. */
export const checkAction =
  (load: LoadConfig): Action<ConfigArgs> =>
  async ({ config: file }, io) => {
    const { config, problems } = await load(file)
    for (const problem of problems) io.stdout.write(`${formatProblem(problem)}\n`)
    const errors = problems.filter(({ severity }) => severity === 'error').length
    const found = [count(errors, 'error'), count(problems.length - errors, 'warning')]
      .filter(Boolean)
      .join(', ')
    if (config === undefined) {
      io.stdout.write(`${sanitise(file)}: refused: ${found}\n`)
      return EXIT.badConfig
    }
    const entries = count(config.allow.length, 'entry', 'entries') || 'no entries'
    io.stdout.write(`${sanitise(file)}: accepted${found === '' ? '' : ` with ${found}`}; ${entries}\n`)
    return EXIT.ok
  }

/** Empty for none. */
const count = (n: number, one: string, many = `${one}s`): string =>
  n === 0 ? '' : `${n} ${n === 1 ? one : many}`

export function defineCheck(program: Command, action: Action<ConfigArgs>, bind: Bind): void {
  const command = configOption(program.command('check'))
    .description('Validate the configuration and print every problem as file:line:col: message.')
    .action((options: ConfigArgs) => bind(action, { config: options.config }))
  explainUse(command, ['embargod check', 'embargod check --config ./embargod.yaml'], {
    0: 'valid, perhaps with warnings',
    2: 'bad configuration',
  })
}
