import type { ConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'

/** `embargod check`: every problem on a line of its own, then the verdict. Exit code 0, or 2 when the daemon would refuse the config. */
export async function check(file: string, env: ConfigEnv, print: (line: string) => void): Promise<0 | 2> {
  const { config, problems } = await loadConfig(file, env)
  for (const problem of problems) print(formatProblem(problem))
  const errors = problems.filter(({ severity }) => severity === 'error').length
  const warnings = problems.length - errors
  const counts = [count(errors, 'error'), count(warnings, 'warning')].filter((text) => text !== '').join(', ')
  if (config === undefined) {
    print(`${file}: refused: ${counts}`)
    return 2
  }
  print(
    `${file}: accepted${counts === '' ? '' : ` with ${counts}`}; ${count(config.allow.length, 'entry', 'entries') || 'no entries'}`,
  )
  return 0
}

const count = (n: number, one: string, many = `${one}s`): string =>
  n === 0 ? '' : `${n} ${n === 1 ? one : many}`
