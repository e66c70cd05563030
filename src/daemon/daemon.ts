import type { ReloadAnswer } from '../control/protocol.ts'
import { ControlServer } from '../control/server.ts'
import type { Logger } from '../observe/logger.ts'
import { stateDirectories } from '../state/state-directories.ts'
import type { Run } from '../system/exec.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import type { ServiceManager } from '../system/systemd.ts'
import type { UndoStack } from '../system/undo-stack.ts'
import { VERSION } from '../version.ts'
import { composeWorld, type World } from './compose.ts'
import { ConfigHolder, type FirstConfig } from './config-holder.ts'
import { createCore } from './core.ts'
import { openHost, type HostAccess } from './host-access.ts'
import { MetricsPort } from './metrics-port.ts'
import { runPass } from './pass.ts'
import { PolicySwitch } from './policy-switch.ts'
import { requestHandlers } from './requests.ts'
import { enforceLast } from './warm.ts'

export interface DaemonOptions {
  readonly configFile: string
  readonly runtimeDirectory: string
  /** Sockets that the service manager holds open for us. */
  readonly inherited: readonly InheritedSocket[]
  /** `STATE_DIRECTORY` of the service manager. */
  readonly stateDirectory: string | undefined
  readonly run: Run
  readonly log: Logger
  readonly service: ServiceManager
  /** How long the config is on trial after the start; undefined: it is not. */
  readonly confirmMs: number | undefined
  /** Nobody confirmed the first config ever, so there is none to go back to. */
  readonly onNoWayBack: (stateDirectory: string) => void
  /** Calls the listener when a descriptor can be read that Node cannot watch. */
  readonly onReadable: (listener: () => void) => void
  /** Ends the process as SIGTERM does. */
  readonly requestStop: () => void
  /** Aborted when the process is told to stop. */
  readonly stop: AbortSignal
  /** A test brings a host of its own. */
  readonly openHost?: typeof openHost
}

/** A daemon whose first pass was tried, well or not. */
export interface Daemon {
  /** Resolves when the kernel holds the policy for the first time, or when the daemon is told to stop. */
  readonly enforced: Promise<void>
  /** Does the gateway answer containers? Then the process is tuned for speed. */
  readonly answersDns: () => boolean
  readonly stateDirectory: string
  /** What SIGHUP does. */
  readonly reloadBySignal: () => Promise<ReloadAnswer>
}

/** How often the headers of the sets are looked at. */
const HEADERS_MS = 5_000
/** How long a host that was never guarded waits for its names, for the sake of its live connections. */
const FIRST_ANSWERS_MS = 1_000

/**
 * The steps of a start, each with what it has to undo. Undone in reverse they stop the daemon and leave the rules in force.
 * @throws NoConfigError when there is nothing to enforce
 */
export async function startDaemon(options: DaemonOptions, undo: UndoStack): Promise<Daemon> {
  const { configFile, runtimeDirectory, inherited, log, service, onReadable, stop, confirmMs } = options
  undo.add(() => log.info({}, 'stopped; the rules stay in force'))
  const core = createCore({ log, service, stop }, undo)
  const access = (options.openHost ?? openHost)(options.run, core, undo)
  const holder = new ConfigHolder(configFile, core.health, log, options.stateDirectory)
  const { config, store } = await firstConfig(options, access, holder)
  undo.add(() => store.flush())
  const metricsPort = new MetricsPort(core.telemetry.metrics, core.health, () => core.telemetry.notReady())
  undo.add(() => metricsPort.close())
  const beginnings = { core, access, holder, config, store, metricsPort, configFile, inherited, onReadable }
  const world = await composeWorld({ ...beginnings, stop }, undo)
  undo.add(() => core.loop.stop())
  const policySwitch = new PolicySwitch(world, () => options.onNoWayBack(store.directory))
  undo.add(() => policySwitch.stop())
  const daemon: Omit<Daemon, 'enforced'> = {
    answersDns: () => world.desired.config.dns.gateway,
    stateDirectory: store.directory,
    reloadBySignal: () => policySwitch.reloadBySignal(),
  }
  if (stop.aborted) return { ...daemon, enforced: Promise.resolve() }
  if (confirmMs !== undefined) policySwitch.beginTrial(confirmMs)

  metricsPort.serve(config.metrics.listen)
  core.stallWatch.start()
  // From here on a command may put another config in force.
  const control = await ControlServer.start(
    runtimeDirectory,
    requestHandlers({ world, policySwitch, requestStop: options.requestStop }),
  )
  undo.add(() => control.close())
  await world.watchers.watchEngine(world.desired.config.docker.socket)
  await learnNames(world)
  core.loop.start((triggers) => runPass(world, policySwitch, triggers))
  await core.loop.requestAndWait('start')
  if (stop.aborted) return { ...daemon, enforced: Promise.resolve() }
  startWatching(world, undo)
  return { ...daemon, enforced: untilEnforced(world, stop, undo) }
}

/** Enforces what was enforced last, before the rest of the daemon is built, and reads the config. */
async function firstConfig(
  { configFile, stateDirectory, confirmMs, log }: DaemonOptions,
  { drivers }: HostAccess,
  holder: ConfigHolder,
): Promise<FirstConfig> {
  const directories = await stateDirectories(configFile, stateDirectory)
  const last = await enforceLast(configFile, directories, drivers, log)
  // Building the rest meanwhile would take the processor from it. The first pass corrects what went wrong.
  await last?.filled.catch((error: unknown) =>
    log.warn({ err: error }, 'restoring the saved ipsets failed: the first pass fills them'),
  )
  const isGuarded = async (): Promise<boolean> => last !== undefined || (await isAnythingInForce(drivers))
  return holder.first(confirmMs === undefined ? undefined : { isGuarded })
}

/**
 * On a host that was never guarded, allowed live connections are to survive the first pass, so their names are looked up before it.
 * Where anything of ours is in force, or addresses are known, there is nothing to wait for.
 */
async function learnNames({ names, drivers, desired }: World): Promise<void> {
  if (!names.knowsNothing || (await isAnythingInForce(drivers))) return
  names.start()
  await names.firstAnswers(desired.policies.names, FIRST_ANSWERS_MS)
}

/** If the kernel cannot be read, something counts as in force. */
async function isAnythingInForce({ backstop, ipset }: HostAccess['drivers']): Promise<boolean> {
  try {
    return (await backstop.read()) !== undefined || (await ipset.headers()).length > 0
  } catch {
    return true
  }
}

/** Starts everything that reports changes or looks for them. */
function startWatching(world: World, undo: UndoStack): void {
  const { watchers, names, gateway, refresher, ownServers, markWatch, desired, loop } = world
  watchers.watchKernel()
  names.start()
  ownServers.watch(
    () => desired.config,
    (servers) => {
      names.askOthers(servers, desired.config.resolver.refresh.minMs)
      gateway.upstreamsChanged()
      refresher.markStale('hostFacts')
      loop.request('docker')
    },
  )
  undo.add(() => ownServers.stop())
  markWatch.start()
  undo.add(() => markWatch.stop())
  const headers = setInterval(() => loop.request('timer'), HEADERS_MS)
  undo.add(() => clearInterval(headers))
}

async function untilEnforced(world: World, stop: AbortSignal, undo: UndoStack): Promise<void> {
  const { telemetry, loop, proof, serviceStatus, desired, log } = world
  while (!telemetry.guards.rules && !stop.aborted) await loop.requestAndWait('retry')
  if (stop.aborted) return
  proof.start()
  undo.add(() => proof.stop())
  const countNames = (): number => desired.policies.names.size
  await serviceStatus.ready(countNames)
  log.info({ version: VERSION, names: countNames() }, 'enforcing')
}
