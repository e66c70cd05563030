import type { Command } from 'commander'
import type { ConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { sanitise } from '../observe/sanitise.ts'
import { configOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

/**
 * Every problem on a line of its own, then the verdict: what the daemon would say of this file. Exit code 0, or 2 when it would refuse it;
 * warnings alone do not, and notes of what a config implies.
 */
export async function check(file: string, env: ConfigEnv, print: (line: string) => void): Promise<0 | 2> {
  const { config, problems } = await loadConfig(file, env)
  for (const problem of problems) print(formatProblem(problem))
  const found = (['error', 'warning', 'note'] as const)
    .map((kind) => count(problems.filter(({ severity }) => severity === kind).length, kind))
    .filter(Boolean)
    .join(', ')
  if (config === undefined) {
    print(sanitise(`${file}: refused: ${found}`))
    return EXIT.badConfig
  }
  const entries = count(config.allow.length, 'entry', 'entries') || 'no entries'
  print(sanitise(`${file}: accepted${found === '' ? '' : ` with ${found}`}; ${entries}`))
  return EXIT.ok
}

export const checkAction =
  (env: ConfigEnv): Action<ConfigArgs> =>
  ({ config }, io) =>
    check(config, env, (line) => io.stdout.write(`${line}\n`))

/** Empty for none. */
const count = (n: number, one: string, many = `${one}s`): string =>
  n === 0 ? '' : `${n} ${n === 1 ? one : many}`

export function defineCheck(program: Command, action: Action<ConfigArgs>, bind: Bind): void {
  const command = configOption(program.command('check'))
    .description(
      'Validate the configuration and print every problem as file:line:col: message, and notes of what it brings about without saying so.',
    )
    .action((options: ConfigArgs) => bind(action, { config: options.config }))
  explainUse(command, ['embargod check', 'embargod check --config ./embargod.yaml'], {
    0: 'valid, perhaps with warnings',
    2: 'bad configuration',
  })
}
