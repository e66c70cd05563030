import type { Command } from 'commander'
import type { ConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/model.ts'
import { formatProblem } from '../config/problem.ts'
import { sanitise } from '../observe/sanitise.ts'
import { nameProblems } from '../policy/name-problems.ts'
import { namesAnything } from '../policy/unknown-names.ts'
import type { Inventory } from '../workloads/model.ts'
import { configOption, EXIT, explainUse } from './command.ts'
import type { Action, Bind, ConfigArgs } from './command.ts'

/** The networks and containers of the engine; undefined when it cannot be asked, as on a host where the file is only written. */
export type AskEngine = (config: Config) => Promise<Inventory | undefined>

/**
 * Prints every problem on a line of its own, then whether the daemon would accept the file. Exit code 0 if it would, also with warnings and notes;
 * 2 if it would refuse it.
 */
export async function check(
  file: string,
  env: ConfigEnv,
  print: (line: string) => void,
  askEngine: AskEngine = async () => undefined,
): Promise<0 | 2> {
  const loaded = await loadConfig(file, env)
  const { config } = loaded
  const inventory = config && namesAnything(config) ? await askEngine(config) : undefined
  const problems = [...loaded.problems, ...nameProblems(loaded, inventory)]
  for (const problem of problems) print(formatProblem(problem))
  const found = (['error', 'warning', 'note'] as const)
    .map((kind) => count(problems.filter(({ severity }) => severity === kind).length, kind))
    .filter(Boolean)
    .join(', ')
  if (config === undefined || problems.some(({ severity }) => severity === 'error')) {
    print(sanitise(`${file}: refused: ${found}`))
    return EXIT.badConfig
  }
  const entries = count(config.allow.length, 'entry', 'entries') || 'no entries'
  print(sanitise(`${file}: accepted${found === '' ? '' : ` with ${found}`}; ${entries}`))
  return EXIT.ok
}

export const checkAction =
  (env: ConfigEnv, askEngine: AskEngine): Action<ConfigArgs> =>
  ({ config }, io) =>
    check(config, env, (line) => io.stdout.write(`${line}\n`), askEngine)

/** Empty for none. */
const count = (n: number, one: string, many = `${one}s`): string =>
  n === 0 ? '' : `${n} ${n === 1 ? one : many}`

export function defineCheck(program: Command, action: Action<ConfigArgs>, bind: Bind): void {
  const command = configOption(program.command('check'))
    .description(
      'Validate the configuration. Print every problem as file:line:col: message, and notes on effects that the file does not state. ' +
        'When the Docker engine can be asked, also name the networks and containers in the file that it does not know.',
    )
    .action((options: ConfigArgs) => bind(action, { config: options.config }))
  explainUse(command, ['embargod check', 'embargod check --config ./embargod.yaml'], {
    0: 'valid, perhaps with warnings',
    2: 'bad configuration',
  })
}
