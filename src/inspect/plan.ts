import type { Action } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { PlanArgs } from '../cli/plan.ts'
import { formatProblem } from '../config/problem.ts'
import type { CallDaemon } from '../control/client.ts'
import { askUnlessSilent } from '../control/silence.ts'
import type { PlanAnswer } from '../control/protocol.ts'
import { createDrivers } from '../host/drivers.ts'
import { planChange } from '../host/plan-change.ts'
import { readOfflineState, RefusedConfigError } from './offline-state.ts'
import { jsonText, sanitise } from '../observe/sanitise.ts'
import type { Run } from '../system/exec.ts'

/** What a pass with this config would write to the kernel: as the daemon says, or computed from its saved state where none runs. */
export const planAction =
  (ask: CallDaemon, run: Run): Action<PlanArgs> =>
  async ({ config, json }, io) => {
    const answer =
      (await askUnlessSilent(ask, io.stderr).ask<PlanAnswer>('plan', { config })) ??
      (await planAlone(config, run))
    if (answer.problems.length > 0 && answer.changes === undefined) {
      for (const problem of answer.problems) io.stderr.write(`${formatProblem(problem)}\n`)
      return EXIT.badConfig
    }
    const changes = answer.changes ?? []
    if (json) io.stdout.write(jsonText({ changes }))
    else if (changes.length === 0)
      io.stdout.write('nothing to do: the kernel holds what the configuration says\n')
    else io.stdout.write(changes.map((line) => `${sanitise(line)}\n`).join(''))
    return changes.length === 0 ? EXIT.ok : EXIT.changes
  }

async function planAlone(configFile: string, run: Run): Promise<PlanAnswer> {
  try {
    const offline = await readOfflineState(configFile, run, Date.now())
    return { problems: [], changes: await planChange(offline, createDrivers(run), Date.now()) }
  } catch (error) {
    if (error instanceof RefusedConfigError) return { problems: error.problems }
    throw error
  }
}
