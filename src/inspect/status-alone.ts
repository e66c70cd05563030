import { ALONE } from '../control/silence.ts'
import type { StatusReport, WithoutDaemon } from '../control/status.ts'
import { createDrivers } from '../host/drivers.ts'
import { readStanding } from '../host/standing.ts'
import { FAMILIES } from '../net/types.ts'
import { Counters } from '../reconcile/counters.ts'
import { Desired } from '../reconcile/desired.ts'
import type { Run } from '../system/exec.ts'
import { statusReport, unprotectedOf } from '../host/report.ts'
import { hookOf } from './ruleset.ts'

const WHY: Readonly<Record<WithoutDaemon, string>> = {
  'not-running': 'the daemon is not running: nothing is looked up, repaired or counted',
  'not-answering': ALONE,
}

/** What kernel, engine and state directory tell while no daemon does. Counters are the kernel's own. */
export async function statusAlone(
  configFile: string,
  why: WithoutDaemon,
  run: Run,
  nowMs: number,
): Promise<StatusReport> {
  const standing = await readStanding(configFile, run, nowMs)
  const { config, policies, ledger, host, generation, temporary } = standing
  const drivers = createDrivers(run)
  const [rules, backstop] = [await drivers.iptables.read(), await drivers.backstop.read()]
  const { saved, canBind } = await drivers.bindings.look()
  const desired = new Desired({
    config,
    policies,
    surroundings: await host.surroundings(config, standing.classNumbers, canBind),
    generation: generation.generation,
    held: (name) => ledger.held(name),
  })
  const counters = new Counters()
  counters.readRules(desired.dataplane(), rules)
  const guards = {
    rules: FAMILIES.every((family) => hookOf(rules[family]) !== undefined),
    backstop: backstop !== undefined,
  }
  const forgedFrames = saved?.dropped ?? { forged: 0, claimed: 0 }
  const marks = await drivers.hostNetwork.read()
  const hostNetworkProblem = marks ? undefined : 'the table that marks what they send is not there'
  const view = {
    desired,
    ledger,
    counters,
    host,
    guards,
    // Only a daemon remembers what its proofs found.
    proven: false,
    flavour: drivers.iptables.flavour,
    forgedFrames,
    hostNetworkProblem,
    dns: undefined,
  }
  const report = statusReport(view, unprotectedOf(view), {
    problems: [WHY[why], ...host.resolverProblems],
    pid: undefined,
    startedAtMs: undefined,
    config: {
      file: configFile,
      loadedAtMs: undefined,
      lastReloadSuccessful: true,
      confirmUntilMs: undefined,
    },
    docker: { connected: host.engine !== undefined, error: host.engine ? undefined : 'it cannot be reached' },
    temporary: temporary.list(),
    drift: { repairs: {}, lastRepairMs: undefined },
    lastReconcile: undefined,
    lastVerified: undefined,
  })
  return { ...report, daemon: why }
}
