import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/model.ts'
import { ALONE } from '../control/silence.ts'
import type { StatusReport, WithoutDaemon } from '../control/status.ts'
import { closedConfig, lastAccepted } from '../state/accepted-config.ts'
import { allowSet } from '../dataplane/names.ts'
import { createDrivers } from '../host/drivers.ts'
import { guardProblem } from '../status/guard-names.ts'
import { headlineOf, type HeadlineFacts } from '../status/headline.ts'
import { guardsNone, statusReport, unprotectedOf } from '../status/report.ts'
import { acceptedConfig } from '../state/formats.ts'
import { offlineStateOf } from './offline-state.ts'
import { stateDirectories } from '../state/state-directories.ts'
import type { SavedFamilies } from '../targets/iptables/driver.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { Policies } from '../policy/model.ts'
import { Counters } from '../reconcile/counters.ts'
import { Desired } from '../reconcile/desired.ts'
import type { Run } from '../system/exec.ts'
import { StateStore } from '../state/state-store.ts'
import { hookOf } from './ruleset.ts'

const WHY: Readonly<Record<WithoutDaemon, string>> = {
  'not-running': 'the daemon is not running: nothing is looked up, repaired or counted',
  'not-answering': ALONE,
}

/** The status report made from kernel, engine and state directory while no daemon answers. What only a daemon knows is unknown, which is neither 0 nor never. */
export async function statusAlone(
  configFile: string,
  why: WithoutDaemon,
  run: Run,
  nowMs: number,
): Promise<StatusReport> {
  const { config, origin } = await configToReport(configFile)
  const offline = await offlineStateOf(config, run, nowMs)
  const { policies, addressStore, host, generation, temporary, counters: counted } = offline
  const drivers = createDrivers(run)
  const [rules, backstop] = [await drivers.iptables.read(), await drivers.backstop.read()]
  const { saved, canBind } = await drivers.bindings.look()
  const desired = new Desired({
    config,
    policies,
    hostFacts: await host.hostFacts(config, offline.classNumbers, canBind),
    generation: generation.generation,
    liveAddresses: (name) => addressStore.liveAddresses(name),
  })
  const counters = new Counters()
  if (counted) counters.restore(counted)
  counters.readRules(desired.dataplane(), rules)
  const hooked = FAMILIES.filter((family) => hookOf(rules[family]) !== undefined)
  const guards = { rules: hooked.length === FAMILIES.length, backstop: backstop !== undefined }
  const marks = await drivers.hostNetwork.read()
  const { gateway, port } = config.dns
  const view = {
    desired,
    addressStore,
    counters,
    host,
    guards,
    // Only a daemon remembers what its proofs found.
    proven: false,
    flavour: drivers.iptables.flavour,
    forgedFrames: saved?.dropped ?? { forged: 0, claimed: 0 },
    hostNetworkProblem: marks ? undefined : 'the table that marks what they send is not there',
    dns: gateway ? { port, cacheEntries: null, upstreams: null, outcomes: null } : undefined,
  }
  const unguarded = guardProblem(config.guard, host.inventory)
  const problems = [
    WHY[why],
    ...(unguarded === undefined ? [] : [unguarded]),
    ...(origin === 'accepted' ? [] : [`${configFile} is refused: ${REFUSED[origin]}`]),
    ...(gateway ? ['the DNS gateway answers nobody: containers have no DNS until the daemon is back'] : []),
    ...new Set([
      ...host.engineConfig.resolverProblems,
      ...(host.engineConfig.switchProblem === undefined ? [] : [host.engineConfig.switchProblem]),
    ]),
  ]
  const report = statusReport(view, unprotectedOf(view), {
    headline: headlineOf({
      daemon: why,
      rules: hooked,
      backstop: guards.backstop,
      config: origin,
      guardsNone: guardsNone(view),
      problems,
    }),
    problems,
    pid: undefined,
    startedAtMs: undefined,
    config: {
      file: configFile,
      loadedAtMs: undefined,
      lastReloadSuccessful: origin === 'accepted',
      confirmUntilMs: undefined,
    },
    docker: { connected: host.engine !== undefined, error: host.engine ? undefined : 'it cannot be reached' },
    temporary: temporary.list(),
    drift: { repairs: counted?.repairs ?? null, lastRepairMs: counted?.lastRepairMs ?? null },
    lastReconcile: null,
    lastVerified: null,
  })
  const stands = standingRules(rules)
  const sizes = new Map((await drivers.ipset.headers()).map(({ name, entries }) => [name, entries]))
  return {
    ...report,
    daemon: why,
    networks: report.networks.map((network) => ({ ...network, deniedPackets: null })),
    policies: report.policies.map((row) => ({ ...row, addresses: addressesIn(sizes, policies, row.policy) })),
    // A rule that is not in the kernel counts nothing. Only the daemon can say what it counted before.
    counters: report.counters.filter(({ family, rule }) => stands.has(`${family} ${rule}`)),
  }
}

const REFUSED: Readonly<Record<Exclude<HeadlineFacts['config'], 'accepted'>, string>> = {
  earlier: 'this is what the config accepted last says',
  none: 'none was accepted before, so nothing is allowed',
}

/** The config of the file, else the one that a daemon would enforce, else one that allows nothing. */
async function configToReport(
  file: string,
): Promise<{ readonly config: Config; readonly origin: HeadlineFacts['config'] }> {
  const { config } = await loadConfig(file, hostConfigEnv)
  if (config) return { config, origin: 'accepted' }
  const directories = await stateDirectories(file, undefined)
  const earlier = await lastAccepted(file, directories, (directory) =>
    new StateStore(directory).peek('accepted-config', acceptedConfig),
  )
  if (earlier) return { config: earlier.config, origin: 'earlier' }
  return { config: await closedConfig(file), origin: 'none' }
}

/** Counts what the kernel holds now, not what was saved: elements have time-outs there, and sets can be gone. */
function addressesIn(
  sizes: ReadonlyMap<string, number>,
  { policies }: Policies,
  policy: string,
): StatusReport['policies'][number]['addresses'] {
  const groups = policies.find(({ id }) => id === policy)?.groups ?? []
  const count = (family: Family): number =>
    groups.reduce((sum, { ports }) => sum + (sizes.get(allowSet(policy, ports, family)) ?? 0), 0)
  return { ipv4: count(4), ipv6: count(6) }
}

/** The rules in the kernel, as the rows of counters name them. */
const standingRules = (rules: SavedFamilies): ReadonlySet<string> =>
  new Set(
    FAMILIES.flatMap((family) =>
      [...rules[family].tables.values()].flatMap(({ chains }) =>
        [...chains].flatMap(([name, chain]) =>
          chain.rules.map(({ key }) => `ipv${family} ${name.toLowerCase()}/${key}`),
        ),
      ),
    ),
  )
