import { marksOf } from '../config/marks.ts'
import type { Config } from '../config/model.ts'
import type { HostView } from '../host/host-view.ts'
import { ownServers } from '../host/own-servers.ts'
import type { NetworkResult } from '../proof/results.ts'
import { Desired } from '../reconcile/desired.ts'
import { Firewall } from '../reconcile/firewall.ts'
import { believable } from '../reconcile/generation.ts'
import * as saved from '../state/formats.ts'
import type { TemporaryAllows } from '../state/temporary.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import { RestartableTimer } from '../system/restartable-timer.ts'
import type { UndoStack } from '../system/undo-stack.ts'
import { usesIptables } from '../workloads/engine.ts'
import { eventLabels } from '../observe/docker-events.ts'
import { ClockSteps } from './clock-steps.ts'
import { composeGateway } from './compose-gateway.ts'
import type { ConfigHolder } from './config-holder.ts'
import type { Core } from './core.ts'
import type { DnsGateway } from './dns-gateway.ts'
import type { HostAccess } from './host-access.ts'
import { HostRefresher } from './host-refresher.ts'
import { HostWatchers } from './host-watchers.ts'
import { MarkWatch } from './mark-watch.ts'
import type { MetricsPort } from './metrics-port.ts'
import { NameResolution } from './name-resolution.ts'
import { OwnServers } from './own-servers.ts'
import { generationsInForce, readInterfaces, restore } from './prepare.ts'
import { ContinuousProof } from './proof.ts'
import { trialsNow } from './proof-trials.ts'
import { StartHold } from './start-hold.ts'
import { StatePersister } from './state-persister.ts'
import type { Store } from './store.ts'

/** What the process and its first config give. */
export interface Beginnings {
  readonly core: Core
  readonly access: HostAccess
  readonly holder: ConfigHolder
  readonly config: Config
  readonly store: Store
  readonly metricsPort: MetricsPort
  readonly configFile: string
  /** Sockets that the service manager holds open for us. */
  readonly inherited: readonly InheritedSocket[]
  /** Calls the listener when a descriptor can be read that Node cannot watch. */
  readonly onReadable: (listener: () => void) => void
  readonly stop: AbortSignal
}

/** Everything that a pass, a reload and the commands work with. Built once; what changes later changes inside of it. */
export interface World extends Core {
  readonly access: HostAccess
  readonly drivers: HostAccess['drivers']
  readonly host: HostView
  readonly holder: ConfigHolder
  readonly store: Store
  readonly clock: ClockSteps
  /** Until the next try to put our jump back where somebody else insists on its place. */
  readonly jumpTimer: RestartableTimer
  readonly temporary: TemporaryAllows
  readonly ownServers: OwnServers
  readonly names: NameResolution
  readonly refresher: HostRefresher
  readonly desired: Desired
  readonly persister: StatePersister
  readonly firewall: Firewall
  readonly startHold: StartHold
  readonly gateway: DnsGateway
  readonly proof: ContinuousProof
  readonly markWatch: MarkWatch
  readonly watchers: HostWatchers
  readonly metricsPort: MetricsPort
}

/** Builds what depends on the config and on what an earlier process left. Asks nobody and starts nothing yet. */
export async function composeWorld(beginnings: Beginnings, undo: UndoStack): Promise<World> {
  const { core, access, holder, config, store, metricsPort, configFile, inherited, onReadable, stop } =
    beginnings
  const { log, health, loop, telemetry, suspect, readPlan } = core
  const { run, drivers, setWriter, view: host } = access
  telemetry.metrics.set('configReload', {}, Number(holder.lastLoadSuccessful))
  log.level = config.log.level
  await readInterfaces(core, host, stop)
  const restored = await restore(beginnings)
  const { policies, addressStore, temporary, classNumbers } = restored

  const ownNameServers = new OwnServers({
    read: ownServers,
    log,
    onState: (problem) => health.set('name-servers', problem),
  })
  const names = await NameResolution.open({
    config,
    policies,
    addressStore,
    servers: ownNameServers,
    store,
    log,
    isHostAddress: host.isHostAddress,
    seed: configFile,
    onChange: () => loop.request('answer'),
    onLookup: (report) => telemetry.lookedUp(report),
  })
  undo.add(() => names.stop())

  const refresher = new HostRefresher({
    classNumbers,
    host,
    health,
    store,
    request: (trigger) => loop.request(trigger),
    onStep: (step) => loop.at(step),
  })
  const generation = believable(restored.generation, await generationsInForce(beginnings), marksOf(config))
  const desired = new Desired({
    config,
    policies,
    hostFacts: await refresher.hostFacts(config),
    generation: generation.generation,
    liveAddresses: (name) => addressStore.liveAddresses(name),
  })
  const persister = new StatePersister({ telemetry, desired, health, holder, store })

  const firewall: Firewall = new Firewall({
    desired,
    drivers: {
      ...drivers,
      stopLearning: async (bridges) => {
        await host.links.stopLearning(bridges)
        refresher.markStale('hostFacts')
      },
      writeAtOnce: (additions) => setWriter.write(additions),
    },
    conntrack: drivers.conntrack,
    generation,
    namesThatHad: (addresses) => addressStore.namesThatHad(addresses),
    keepGeneration: (next) => store.save('generation', next, saved.savedGeneration),
    adopt: (known, nowMs) => {
      names.adopt(known, desired.membership, desired.config.resolver.maxStaleMs, nowMs)
      desired.refreshNames(addressStore.takeChanged())
    },
    onBound: () => publishRights({ desired, host, gateway, startHold }),
    onBlind: (error) => telemetry.setUnreadFlows(error),
    onUnforgotten: (why) => telemetry.setUnforgottenFlows(why),
    onStep: (step) => loop.at(step),
  })
  const startHold = new StartHold({
    senders: () => firewall.keepers.bindings.senders,
    interfaces: () => host.interfaces,
    onReadable,
    onEnd: (outcome, heldMs) => telemetry.heldAtStart(outcome, heldMs),
    onState: (problem) => health.set('hold', problem),
  })
  undo.add(() => startHold.close())
  const gateway = await composeGateway({
    telemetry,
    health,
    desired,
    host,
    inherited,
    fastPath: firewall.keepers.sets.fastPath,
    log,
    names,
    ownServers: ownNameServers,
    setWriter,
    store,
    onIncluded: (address) => {
      if (firewall.noteAdded(address)) loop.request('answer')
    },
    onUnadmitted: () => loop.request('answer'),
  })
  undo.add(() => gateway.stop())

  const proof = new ContinuousProof({
    run,
    everyMs: () => desired.config.verify.everyMs,
    trials: () => trialsNow({ desired, host, telemetry }),
    marks: () => marksOf(desired.config),
    backstopStands: async () => (await drivers.backstop.read()) !== undefined,
    isPassing: () => loop.underWay !== undefined,
    // Whether our rules work with an engine that does not use iptables is only known once it is tried.
    isAwaited: () => host.engine !== undefined && !usesIptables(host.engine),
    onResults: (results) => telemetry.proven(guardedStill(results, desired), Date.now()),
  })
  const watchers = new HostWatchers({
    access,
    log,
    request: (trigger) => loop.request(trigger),
    onDockerState: (state) => {
      telemetry.setDockerState(state)
      if (!state.connected) return
      // A restarted engine may have changed to the other flavour of iptables.
      drivers.iptables.doubt()
      proof.reconsider()
      readPlan.suspect(undefined)
    },
    onDockerEvent: (type, action) => telemetry.metrics.inc('dockerEvents', eventLabels(type, action)),
    onDrift: suspect,
    onStale: (part) => refresher.markStale(part),
    onUnsteady: (what, why) => telemetry.setWatchProblem(what, why),
  })
  undo.add(() => watchers.stop())
  const jumpTimer = new RestartableTimer()
  undo.add(() => jumpTimer.clear())

  return {
    ...core,
    access,
    drivers,
    host,
    holder,
    store,
    clock: new ClockSteps(),
    jumpTimer,
    temporary,
    ownServers: ownNameServers,
    names,
    refresher,
    desired,
    persister,
    firewall,
    startHold,
    gateway,
    proof,
    markWatch: new MarkWatch({
      run,
      marks: () => marksOf(desired.config),
      onState: (problem) => health.set('nft-marks', problem),
    }),
    watchers,
    metricsPort,
  }
}

/** A network may have gone while it was tried. */
const guardedStill = (results: readonly NetworkResult[], { hostFacts }: Desired): readonly NetworkResult[] =>
  results.filter(({ network }) => hostFacts.plan.guarded.some(({ networkName }) => networkName === network))

/** The kernel holds rights of containers that it did not before: the gateway knows of them before the packets go on that waited for them. */
export function publishRights({
  desired,
  host,
  gateway,
  startHold,
}: Pick<World, 'desired' | 'host' | 'gateway' | 'startHold'>): void {
  gateway.setPolicy(desired, host.inventory)
  startHold.look()
}
