import { allowAction } from './cli/allow.ts'
import { checkAction } from './cli/check.ts'
import { EXIT } from './cli/command.ts'
import type { Action } from './cli/command.ts'
import { confirmAction } from './cli/confirm.ts'
import type { Actions } from './cli/program.ts'
import { reloadAction } from './cli/reload.ts'
import { schemaAction } from './cli/schema.ts'
import { statusAction } from './cli/status.ts'
import { hostConfigEnv } from './config/env.ts'
import { callDaemon } from './control/client.ts'
import type { CallDaemon } from './control/client.ts'
import { ControlError, DOES_NOT_ANSWER } from './control/error.ts'
import { runtimeDirectory } from './control/place.ts'
import type { StatusReport } from './control/status.ts'
import { runAction } from './daemon/run.ts'
import { askEngine } from './workloads/docker/ask-engine.ts'
import { cleanupAction, removeAll } from './inspect/cleanup.ts'
import { explainAction } from './inspect/explain.ts'
import { planAction } from './inspect/plan.ts'
import { rulesAction } from './inspect/rules.ts'
import { setupDnsAction } from './inspect/setup-dns.ts'
import { statusAlone } from './inspect/status-alone.ts'
import { verifyAction } from './inspect/verify.ts'
import { checkPrivileges } from './system/capabilities.ts'
import { run } from './system/exec.ts'
import { findDockerds } from './workloads/engine-config/find-dockerds.ts'
import type { Signals } from './signals.ts'

export interface ProgramContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly pid: number
  readonly signals: Signals
}

/** Every command with what it needs of this host. */
export function composeActions({ environment, pid, signals }: ProgramContext): Actions {
  const directory = runtimeDirectory(environment)
  const ask: CallDaemon = (name, body) => callDaemon(name, body, { directory })
  return {
    run: runAction({
      environment,
      pid,
      signals,
      ask,
      runtimeDirectory: directory,
      removeAll: async (state) => (await removeAll(run, state)).failures,
    }),
    check: checkAction(hostConfigEnv, async ({ docker }) => (await askEngine(docker.socket))?.inventory),
    plan: privileged(planAction(ask, run)),
    status: statusAction({
      fromDaemon: () => ask<StatusReport>('status'),
      fromHost: (config, why) =>
        statusAlone(config, why, run, Date.now()).catch((cause: unknown) => {
          const said = why === 'not-running' ? 'the daemon is not running' : DOES_NOT_ANSWER
          throw new ControlError(`${said}, and what is enforced cannot be read`, EXIT.notRunning, { cause })
        }),
      now: Date.now,
    }),
    rules: privileged(rulesAction(run)),
    explain: privileged(explainAction(ask, run)),
    allow: allowAction(ask, Date.now),
    verify: privileged(verifyAction(ask, run)),
    reload: reloadAction(ask),
    confirm: confirmAction(ask),
    cleanup: privileged(cleanupAction(ask, run)),
    setupDns: setupDnsAction({ run, isRoot: () => process.geteuid?.() === 0, dockerds: findDockerds }),
    schema: schemaAction,
  }
}

/** Prints one line for each right or tool that is missing, before the first tool fails in words of its own. */
const privileged =
  <Args>(action: Action<Args>): Action<Args> =>
  async (args, io) => {
    const missing = (await checkPrivileges()).filter(({ required }) => required)
    for (const { message } of missing) io.stderr.write(`embargod: ${message}\n`)
    return missing.length > 0 ? EXIT.failed : action(args, io)
  }
