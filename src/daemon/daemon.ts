import { setTimeout as sleep } from 'node:timers/promises'
import { hostConfigEnv } from '../config/env.ts'
import type { Loaded } from '../config/load.ts'
import { marksOf } from '../config/marks.ts'
import type { Config, Problem } from '../config/model.ts'
import { ControlServer, type ControlHandlers } from '../control/server.ts'
import type { ReloadAnswer } from '../control/protocol.ts'
import { createDrivers, type HostDrivers } from '../host/drivers.ts'
import { HostView, ownServers } from '../host/host-view.ts'
import * as saved from '../state/formats.ts'
import { loadMarks } from '../state/saved-marks.ts'
import type { View } from '../host/report.ts'
import { stateDirectories } from '../state/state-directories.ts'
import { TemporaryAllows } from '../state/temporary.ts'
import { SetWriter } from '../targets/ipset/set-writer.ts'
import type { Hostname } from '../net/types.ts'
import { OwnedTable } from '../targets/backstop/owned-table.ts'
import type { Logger } from '../observe/logger.ts'
import { compile } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import { nameProblems } from '../policy/name-problems.ts'
import { onTrial } from '../policy/trial.ts'
import { Desired } from '../reconcile/desired.ts'
import { wantsHold } from '../reconcile/host-facts.ts'
import { choosePlaces, placesOf } from '../proof/places.ts'
import type { Trial } from '../proof/model.ts'
import type { Fight } from '../reconcile/fight.ts'
import { Firewall } from '../reconcile/firewall.ts'
import { believable } from '../reconcile/generation.ts'
import { Loop, type Trigger } from '../reconcile/loop.ts'
import type { Part } from '../targets/keeper.ts'
import type { Run } from '../system/exec.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import { NamespaceSession } from '../system/net-namespaces.ts'
import type { ServiceManager } from '../system/systemd.ts'
import { VERSION } from '../version.ts'
import { usesIptables } from '../workloads/engine.ts'
import { Telemetry } from './telemetry.ts'
import { namesThatFail } from './after-change.ts'
import { ClockSteps } from './clock-steps.ts'
import { composeGateway } from './compose-gateway.ts'
import { ConfigHolder } from './config-holder.ts'
import { ConfigSwitch } from './config-switch.ts'
import type { DnsGateway } from './dns-gateway.ts'
import { EntryExpiry } from './entry-expiry.ts'
import { Health } from './health.ts'
import { HostRefresher } from './host-refresher.ts'
import { ReadPlan } from './read-plan.ts'
import { MetricsPort } from './metrics-port.ts'
import { NameResolution } from './name-resolution.ts'
import { StatePersister } from './state-persister.ts'
import { MarkWatch } from './mark-watch.ts'
import { OwnServers } from './own-servers.ts'
import { ContinuousProof } from './proof.ts'
import { desiredTrials } from './proof-trials.ts'
import { requestHandlers } from './requests.ts'
import { StallWatch } from './stall-watch.ts'
import type { Store } from './store.ts'
import { enforceLast } from './warm.ts'
import { StartHold } from './start-hold.ts'
import { HostWatchers } from './host-watchers.ts'
import { errorChain, errorMessage } from '../system/errors.ts'

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
  /** Nobody confirmed the first config ever: there is none to go back to. */
  readonly onNoWayBack: () => void
  /** Told when a descriptor can be read that Node cannot watch. */
  readonly onReadable: (listener: () => void) => void
  /** Ends the process as SIGTERM does. */
  readonly requestStop: () => void
}

/** How often the sets' headers are looked at. */
const HEADERS_MS = 5_000
/** How long a host that was never guarded waits for its names, for the sake of its live connections. */
const FIRST_ANSWERS_MS = 1_000
/** How long a person waits who changes something, to hear what became of the names: a server that is silent takes `resolver.timeout`. */
const ANSWERS_MS = 4_000

/** The composition root: builds the adapters, wires what triggers a pass, starts and stops in order. */
export class Daemon {
  readonly #options: DaemonOptions
  readonly #log: Logger
  readonly #health: Health
  readonly #telemetry: Telemetry
  readonly #holder: ConfigHolder
  readonly #host: HostView
  readonly #namespaces: NamespaceSession
  readonly #drivers: HostDrivers
  readonly #ownedTable: OwnedTable
  readonly #setWriter = new SetWriter()
  readonly #temporary = new TemporaryAllows()
  readonly #ends = new EntryExpiry(this.#temporary, () => void this.#endEntries())
  readonly #clock = new ClockSteps()
  readonly #readPlan = new ReadPlan(performance.now())
  readonly #switch: ConfigSwitch
  readonly #loop = new Loop((triggers) => this.#pass(triggers))
  readonly #stallWatch: StallWatch
  readonly #watches: HostWatchers
  readonly #port: MetricsPort
  readonly #proof: ContinuousProof
  readonly #markWatch: MarkWatch
  readonly #ownServers: OwnServers
  readonly #startHold: StartHold
  readonly #startedAtMs = Date.now()
  /** Resolves when the start is done with the config that it has read, whether or not the kernel took it: another one may follow. */
  readonly firstTried: Promise<void>
  #firstWasTried: () => void = () => undefined
  #store!: Store
  #refresher!: HostRefresher
  #persister!: StatePersister
  #names!: NameResolution
  #desired!: Desired
  #firewall!: Firewall
  #gateway!: DnsGateway
  #control: ControlServer | undefined
  #lastWatchdogMs = 0
  #headersTimer: NodeJS.Timeout | undefined
  #turnTimer: NodeJS.Timeout | undefined
  #stopping = false
  /** The service manager was told that the kernel holds the policy. */
  #isReady = false
  #passing = false
  /** What the last change of rights could not see, in a sentence. */
  #blind: string | undefined

  constructor(options: DaemonOptions) {
    this.#options = options
    this.firstTried = new Promise((resolve) => (this.#firstWasTried = resolve))
    this.#log = options.log
    this.#health = new Health((key, problem) => {
      if (problem === undefined) this.#log.info({ concern: key }, 'recovered')
      else this.#log.warn({ concern: key, problem }, 'degraded')
      // What READY said then may be over by now.
      if (this.#isReady && !this.#stopping) void this.#options.service.status(this.#statusLine())
    })
    this.#telemetry = new Telemetry(this.#health, this.#log)
    this.#stallWatch = new StallWatch({ loop: this.#loop, health: this.#health })
    this.#holder = new ConfigHolder(
      options.configFile,
      this.#health,
      this.#log,
      options.stateDirectory,
      hostConfigEnv,
      (loaded) => this.#judgeNames(loaded),
    )
    this.#switch = new ConfigSwitch({
      holder: this.#holder,
      log: this.#log,
      putInForce: (config) => this.#putInForce(config),
      shape: () => shapeOf(this.#desired),
      config: () => this.#desired.config,
      failure: () => this.#failure(),
      problems: () => this.#health.problems,
      failures: () => [
        ...this.#failingNames(new Set(this.#desired.policies.names.keys())),
        ...(this.#blind === undefined ? [] : [this.#blind]),
      ],
      onLoaded: (isGood) => this.#telemetry.metrics.setConfigReload(isGood),
      onConfirmed: async () => {
        // What stood by the trial alone would run out with it.
        await this.#switchTo(this.#desired.config)
        await this.#loop.requestAndWait('reload')
        this.#persister.saveWarmStart()
      },
      onNotTakenBack: (error) =>
        this.#health.bad('trial', `the config on trial could not be taken back: ${errorMessage(error)}`),
      onNoWayBack: options.onNoWayBack,
    })
    this.#namespaces = new NamespaceSession(options.run)
    this.#host = new HostView(options.run, this.#namespaces.ask)
    this.#ownedTable = new OwnedTable({
      onState: (why) => this.#telemetry.setOwnedTableState(why),
      onDue: () => this.#suspect('backstop'),
    })
    this.#drivers = { ...createDrivers(options.run), ownedTable: this.#ownedTable }
    this.#port = new MetricsPort(this.#telemetry.metrics, this.#health, () => this.#telemetry.notReady())
    this.#proof = new ContinuousProof({
      run: options.run,
      everyMs: () => this.#desired.config.verify.everyMs,
      trials: () => this.#proofTrials(),
      marks: () => marksOf(this.#desired.config),
      backstopStands: async () => (await this.#drivers.backstop.read()) !== undefined,
      isPassing: () => this.#passing,
      // What such an engine does with our rules nobody knows before it is tried.
      isAwaited: () => this.#host.engine !== undefined && !usesIptables(this.#host.engine),
      onResults: (results) => {
        const { guarded } = this.#desired.hostFacts.plan
        const present = results.filter(({ network }) =>
          guarded.some(({ networkName }) => networkName === network),
        )
        if (present.length > 0) this.#telemetry.proven(present, Date.now())
      },
    })
    this.#markWatch = new MarkWatch({
      run: options.run,
      marks: () => marksOf(this.#desired.config),
      onState: (problem) => this.#telemetry.setMarkProblem(problem),
    })
    this.#startHold = new StartHold({
      senders: () => this.#firewall.keepers.bindings.senders,
      interfaces: () => this.#host.interfaces,
      onReadable: options.onReadable,
      onEnd: (outcome, heldMs) => this.#telemetry.metrics.countStartHold(outcome, heldMs),
      onState: (problem) => this.#telemetry.setStartHoldProblem(problem),
    })
    this.#ownServers = new OwnServers({
      read: ownServers,
      log: options.log,
      onState: (problem) => {
        if (problem === undefined) this.#health.good('name-servers')
        else this.#health.bad('name-servers', problem)
      },
      onChange: (servers) => this.#askOthers(servers),
    })
    this.#watches = new HostWatchers({
      host: this.#host,
      log: this.#log,
      request: (trigger) => this.#loop.request(trigger),
      onDockerState: (state) => {
        this.#telemetry.setDockerState(state)
        if (!state.connected) return
        // An engine that began anew may have gone over to the other iptables.
        this.#drivers.iptables.doubt()
        this.#proof.reconsider()
        this.#readPlan.suspect(undefined)
      },
      onDockerEvent: (type, action) => this.#telemetry.metrics.countDockerEvent(type, action),
      onDrift: (part) => this.#suspect(part),
      onStale: (news) => this.#refresher.markStale(news),
      onUnsteady: (what, why) => {
        if (why === undefined) this.#health.good(`watching ${what}`)
        else
          this.#health.bad(
            `watching ${what}`,
            `the kernel does not tell of changes of ${what}, so they are seen late: ${why}`,
          )
      },
    })
  }

  /**
   * Resolves when the kernel holds the policy for the first time, or when told to stop before.
   * @throws NoConfigError when there is nothing to enforce.
   */
  async start(): Promise<void> {
    const { configFile, stateDirectory } = this.#options
    const directories = await stateDirectories(configFile, stateDirectory)
    const last = await enforceLast(configFile, directories, this.#drivers, this.#log)
    // Reading and building the rest would take the processor from it. The first pass corrects what went wrong.
    await last?.filled.catch((error: unknown) =>
      this.#log.warn({ err: error }, 'the sets of the last life are not full'),
    )
    const { confirmMs } = this.#options
    const isGuarded = async (): Promise<boolean> => last !== undefined || (await this.#somethingStands())
    const { config, store } = await this.#holder.first(confirmMs === undefined ? undefined : { isGuarded })
    this.#store = store
    await this.#compose(config)
    if (this.#stopping) return
    if (confirmMs !== undefined) {
      this.#switch.beginTrial(confirmMs)
      this.#setPolicy(config, this.#compile(config))
    }
    this.#port.serve(config.metrics.listen)
    this.#stallWatch.start()
    this.#loop.pause()
    // From here on another config may be put in force by a command.
    this.#control = await ControlServer.start(this.#options.runtimeDirectory, this.#handlers())
    await this.#watches.watchEngine(this.#desired.config.docker.socket)
    await this.#learnNames()
    this.#loop.resume()
    await this.#loop.requestAndWait('start')
    this.#watches.watchKernel()
    this.#names.start()
    this.#ownServers.watch(() => this.#desired.config)
    this.#markWatch.start()
    this.#headersTimer = setInterval(() => this.#loop.request('timer'), HEADERS_MS)
    this.#firstWasTried()
    while (!this.#telemetry.guards.rules && !this.#stopping) await this.#loop.requestAndWait('retry')
    if (this.#stopping) return
    this.#proof.start()
    this.#isReady = true
    await this.#options.service.ready(this.#statusLine())
    this.#log.info({ version: VERSION, names: this.#desired.policies.names.size }, 'enforcing')
  }

  /**
   * On a host that was never guarded live connections are to keep going where they are allowed, so their names are asked first.
   * Where something of ours stands, or anything is known, there is nothing to wait for.
   */
  async #learnNames(): Promise<void> {
    if (!this.#names.knowsNothing || (await this.#somethingStands())) return
    this.#names.start()
    await this.#names.firstAnswers(this.#desired.policies.names, FIRST_ANSWERS_MS)
  }

  async #somethingStands(): Promise<boolean> {
    try {
      return (
        (await this.#drivers.backstop.read()) !== undefined ||
        (await this.#drivers.ipset.headers()).length > 0
      )
    } catch {
      return true
    }
  }

  /** None where nothing stands, or the kernel cannot be read: the saved one is all that is known then. */
  async #standingGenerations(): Promise<readonly number[]> {
    try {
      return (await this.#drivers.backstop.read())?.generations ?? []
    } catch (error) {
      this.#log.warn({ err: error }, 'the generation of live connections could not be read from the kernel')
      return []
    }
  }

  /** Something changed in this part of the rules; undefined: anywhere. */
  #suspect(part: Part | undefined): void {
    this.#readPlan.suspect(part)
    this.#loop.request('drift')
  }

  /** Stops and leaves the rules in force. */
  async stop(): Promise<void> {
    this.#stopping = true
    await this.#options.service.stopping()
    clearInterval(this.#headersTimer)
    this.#ownServers.stop()
    this.#markWatch.stop()
    this.#ends.stop()
    this.#switch.stop()
    clearTimeout(this.#turnTimer)
    await this.#control?.close()
    this.#startHold.close()
    await this.#proof.stop()
    await this.#watches.stop()
    await this.#gateway?.stop()
    await this.#names?.stop()
    await this.#loop.stop()
    this.#stallWatch.stop()
    await this.#setWriter.close()
    await this.#ownedTable.close()
    await this.#namespaces.close()
    await this.#port.close()
    await this.#store?.flush()
    this.#log.info({}, 'stopped; the rules stay in force')
  }

  /** Does the gateway answer containers? That takes speed. */
  get answersDns(): boolean {
    return this.#desired?.config.dns.gateway ?? false
  }

  get stateDirectory(): string {
    return this.#store.directory
  }

  /** What SIGHUP does: validate, then switch in one step. A bad file changes nothing. */
  reloadBySignal(): Promise<ReloadAnswer> {
    return this.#reloading(() => this.#switch.reloadBySignal(this.#store))
  }

  /** Before the kernel holds the first policy, and while we stop, the service manager is told of no reload: the end of one says READY. */
  async #reloading(reload: () => Promise<ReloadAnswer>): Promise<ReloadAnswer> {
    if (!this.#isReady || this.#stopping) return reload()
    await this.#options.service.reloading()
    try {
      return await reload()
    } finally {
      if (!this.#stopping) await this.#options.service.ready(this.#statusLine())
    }
  }

  /** Of an engine that was not heard, or is not the one that the config names, nothing is known. */
  #judgeNames(loaded: Loaded): readonly Problem[] {
    const isHeard = loaded.config?.docker.socket === this.#desired.config.docker.socket
    return isHeard ? nameProblems(loaded, this.#host.inventory, this.#host.seenNetworks) : []
  }

  /** Why the kernel is not as desired; undefined: it is, as far as a pass has told. */
  #failure(): string | undefined {
    const isAsDesired = !this.#health.has('kernel') && !this.#health.has('stalled')
    return isAsDesired ? undefined : this.#health.problems.join('; ')
  }

  async #putInForce(config: Config): Promise<void> {
    const { docker } = this.#desired.config
    this.#log.level = config.log.level
    await this.#switchTo(config)
    this.#proof.reconsider()
    // Nobody would ever take back what the last one found.
    if (config.verify.everyMs === undefined) this.#telemetry.proofs.forget()
    if (docker.socket !== config.docker.socket) await this.#watches.watchEngine(config.docker.socket)
    this.#port.serve(config.metrics.listen)
    await this.#enforceNow()
  }

  /** Takes rights away at once, then waits for the first answers of new names: who is told that it is done may rely on it. */
  async #enforceNow(): Promise<void> {
    this.#blind = undefined
    await this.#loop.requestAndWait('reload')
    await this.#names.firstAnswers(this.#desired.policies.names, ANSWERS_MS)
    await this.#loop.requestAndWait('answer')
  }

  #failingNames(names: ReadonlySet<Hostname>): readonly string[] {
    return namesThatFail(this.#names.addressStore, names)
  }

  /** Builds what depends on the config and on what an earlier process left. */
  async #compose(config: Config): Promise<void> {
    const store = this.#store
    this.#telemetry.metrics.setConfigReload(this.#holder.lastLoadSuccessful)
    this.#log.level = config.log.level
    await this.#knowInterfaces()
    for (const { entry, untilMs } of (await store.load('temporary', saved.savedTemporary)) ?? []) {
      this.#restoreTemporary(entry, untilMs)
    }
    const policies = this.#compile(config)
    this.#names = await NameResolution.open({
      config,
      policies,
      servers: this.#ownServers,
      store,
      log: this.#log,
      isHostAddress: this.#host.isHostAddress,
      seed: this.#options.configFile,
      onChange: () => this.#loop.request('answer'),
      onLookup: (report) => this.#telemetry.lookedUp(report),
    })
    const { addressStore } = this.#names
    addressStore.takeChanged()
    const counters = await store.load('counters', saved.savedCounters)
    if (counters) this.#telemetry.restore(counters)
    const load: Store['load'] = (name, format) => store.load(name, format)
    const marks = await loadMarks(load, config.policies, policies.digest)
    const { classNumbers } = marks
    const generation = believable(marks.generation, await this.#standingGenerations(), marksOf(config))
    this.#refresher = new HostRefresher({
      classNumbers,
      host: this.#host,
      health: this.#health,
      store,
      request: (trigger) => this.#loop.request(trigger),
      onStep: (step) => this.#loop.at(step),
    })
    this.#desired = new Desired({
      config,
      policies,
      hostFacts: await this.#refresher.hostFacts(config),
      generation: generation.generation,
      liveAddresses: (name) => addressStore.liveAddresses(name),
    })
    this.#persister = new StatePersister({
      account: this.#telemetry,
      desired: this.#desired,
      health: this.#health,
      holder: this.#holder,
      store,
    })
    this.#firewall = new Firewall({
      desired: this.#desired,
      drivers: {
        ...this.#drivers,
        stopLearning: async (bridges) => {
          await this.#host.stopLearning(bridges)
          this.#refresher.markStale('hostFacts')
        },
        writeAtOnce: (additions) => this.#setWriter.write(additions),
      },
      conntrack: this.#drivers.conntrack,
      generation,
      namesThatHad: (addresses) => addressStore.namesThatHad(addresses),
      keepGeneration: (next) => store.save('generation', next, saved.savedGeneration),
      adopt: (known, nowMs) => {
        this.#names.adopt(known, this.#desired.membership, this.#desired.config.resolver.maxStaleMs, nowMs)
        this.#desired.refreshNames(addressStore.takeChanged())
      },
      onBound: () => this.#boundNow(),
      onBlind: (error) => {
        this.#blind = `live connections could not be read: those on expired addresses may break (${errorMessage(error)})`
        this.#log.warn(
          { err: error },
          'live connections could not be read: those on expired addresses may break',
        )
      },
      onUnforgotten: (why) => {
        if (why === undefined) this.#health.good('revoked')
        else
          this.#health.bad(
            'revoked',
            `revoked connections between containers go on by their replies: ${errorMessage(why)}`,
          )
      },
      onStep: (step) => this.#loop.at(step),
    })
    this.#gateway = await composeGateway({
      account: this.#telemetry,
      desired: this.#desired,
      host: this.#host,
      inherited: this.#options.inherited,
      fastPath: this.#firewall.keepers.sets.fastPath,
      log: this.#log,
      names: this.#names,
      ownServers: this.#ownServers,
      setWriter: this.#setWriter,
      store,
      onIncluded: (address) => {
        if (this.#firewall.noteAdded(address)) this.#loop.request('answer')
      },
      onUnadmitted: () => this.#loop.request('answer'),
    })
  }

  /** The host's name servers changed: ours with them, and those that the engine gives to containers. */
  #askOthers(servers: readonly string[]): void {
    this.#names.askOthers(servers, this.#desired.config.resolver.refresh.minMs)
    this.#gateway.upstreamsChanged()
    this.#refresher.markStale('hostFacts')
    this.#loop.request('docker')
  }

  /** Without them nothing can be decided, so a tool that fails is asked again. What stands on the host stands meanwhile. */
  async #knowInterfaces(): Promise<void> {
    for (let waitMs = 100; !this.#stopping; waitMs = Math.min(2 * waitMs, 2_000)) {
      try {
        await this.#host.readInterfaces()
        this.#health.good('interfaces')
        return
      } catch (error) {
        this.#health.bad('interfaces', errorMessage(error))
        await sleep(waitMs)
      }
    }
  }

  #restoreTemporary(entry: string, untilMs: number): void {
    try {
      // It was judged when it was asked for; a wildcard without a gateway allows nothing.
      if (untilMs > Date.now()) this.#temporary.add(entry, untilMs, true)
    } catch (error) {
      this.#log.warn({ err: error, entry }, 'a temporary entry is no longer valid')
    }
  }

  async #switchTo(config: Config): Promise<void> {
    const policies = this.#compile(config)
    await this.#names.reconfigure(config, policies)
    // Names that were removed are gone from the address store by now, so the policy is built from what is left.
    this.#names.addressStore.takeChanged()
    this.#setPolicy(config, policies)
    this.#refresher.markStale('hostFacts')
  }

  /** Also arms the moment at which an `until` or a temporary entry ends without anybody's doing. */
  #compile(config: Config): Policies {
    const nowMs = Date.now()
    this.#temporary.expire()
    const policies = compile(config, this.#temporary.entries(), nowMs)
    this.#ends.arm(policies.nextEndMs)
    return policies
  }

  /** Beside what is in force now stands what comes back if nobody confirms it. Where nothing was enforced before, a trial opened nothing. */
  #setPolicy(config: Config, policies: Policies): void {
    const { before } = this.#holder
    const { untilMs } = this.#switch
    if (before === undefined || untilMs === undefined) {
      this.#desired.setPolicy(config, policies)
      return
    }
    const earlier = compile(before, this.#temporary.entries(), Date.now())
    const trial = onTrial(policies, earlier, untilMs)
    this.#desired.setPolicy(config, trial.tried, { config: before, policies: trial.before })
  }

  async #endEntries(): Promise<void> {
    try {
      await this.#switchTo(this.#desired.config)
      this.#loop.request('until')
      this.#health.good('ends')
    } catch (error) {
      this.#health.bad('ends', `an entry that ended could not be taken out: ${errorMessage(error)}`)
    }
  }

  /** Rights stand in the kernel that did not before: the gateway knows of them before a packet goes on that waited for them. */
  #boundNow(): void {
    this.#gateway.answerBy(this.#desired, this.#host.inventory)
    this.#startHold.look()
  }

  #prepareHold(): void {
    const { config, hostFacts } = this.#desired
    const { holdNewMs: holdMs, mark } = config.guard
    const isWanted = wantsHold(config, hostFacts)
    this.#desired.setStartHold(this.#startHold.prepare({ isWanted, holdMs, mark }))
  }

  /** One pass, told to whoever listens. Rejects when the kernel is not as desired. */
  async #pass(triggers: ReadonlySet<Trigger>): Promise<void> {
    const startedMs = performance.now()
    const nowMs = Date.now()
    let outcome = 'failed'
    this.#passing = true
    try {
      // Ends that go by a clock that nobody sets are at another time of the one that was set.
      if (this.#clock.happened) this.#setPolicy(this.#desired.config, this.#compile(this.#desired.config))
      await this.#refresher.refresh(this.#desired, triggers)
      this.#prepareHold()
      this.#names.addressStore.expire(this.#desired.policies.patterns.keys(), nowMs)
      this.#desired.refreshNames(this.#names.addressStore.takeChanged())
      this.#gateway.expect(this.#desired, this.#host.inventory)
      const { flavour } = this.#drivers.iptables
      const { known } = this.#firewall.keepers.sets
      const scope = this.#readPlan.scope(
        triggers,
        flavour,
        known,
        this.#desired.config.resolver.maxStaleMs,
        startedMs,
      )
      const result = await this.#firewall.pass(scope, nowMs)
      this.#refresher.setCanBind(!this.#firewall.keepers.bindings.isHopeless)
      this.#boundNow()
      this.#startHold.begin()
      this.#readPlan.wasRead(scope, startedMs)
      outcome = result.outcome
      this.#telemetry.passed(result, triggers, this.#desired, known, this.#host)
      this.#lookAgain(result.fight)
      this.#loop.at('the disk that holds the state')
      await this.#persister.persist(result)
    } catch (error) {
      // The rules without it are written by the next pass.
      const why = errorChain(error)
      if (why.includes('NFQUEUE') && this.#startHold.giveUp(why)) this.#loop.request('retry')
      this.#telemetry.failed(error, triggers)
      throw error
    } finally {
      this.#passing = false
      this.#telemetry.ended(triggers, outcome, performance.now() - startedMs)
      if (tells(triggers, outcome)) this.#telemetry.report(this.#view())
      this.#feedWatchdog()
    }
  }

  /** A jump that waits for its turn. */
  #lookAgain(fight: Fight | undefined): void {
    if (fight?.waitMs === undefined) return
    clearTimeout(this.#turnTimer)
    this.#turnTimer = setTimeout(() => {
      for (const family of fight.families) this.#suspect(family)
    }, fight.waitMs)
  }

  /** Undefined while the engine is away: what it does to its networks is then not known. */
  async #proofTrials(): Promise<readonly Trial[] | undefined> {
    const { interfaces, inventory } = this.#host
    if (!inventory || !this.#telemetry.dockerConnected) return undefined
    const { guarded } = this.#desired.hostFacts.plan
    const places = placesOf({ guarded, interfaces, containers: inventory.containers })
    return desiredTrials(this.#desired, this.#host, choosePlaces(places, this.#telemetry.proofs.last))
  }

  #view(): View {
    return {
      desired: this.#desired,
      addressStore: this.#names.addressStore,
      counters: this.#telemetry.counters,
      host: this.#host,
      guards: this.#telemetry.guards,
      proven: this.#telemetry.proofs.hold,
      flavour: this.#drivers.iptables.flavour,
      forgedFrames: this.#firewall.keepers.bindings.dropped,
      hostNetworkProblem: this.#firewall.keepers.hostNetwork.problem,
      dns: this.#dnsStatus(),
    }
  }

  #dnsStatus(): View['dns'] {
    const { gateway, port } = this.#desired.config.dns
    if (!gateway) return undefined
    const { cacheEntries, upstreamHealth: upstreams } = this.#gateway
    return { port, cacheEntries, upstreams, outcomes: this.#telemetry.queries }
  }

  #feedWatchdog(): void {
    const { watchdogIntervalMs } = this.#options.service
    const nowMs = performance.now()
    if (watchdogIntervalMs === undefined || nowMs - this.#lastWatchdogMs < watchdogIntervalMs / 2) return
    this.#lastWatchdogMs = nowMs
    void this.#options.service.watchdog()
  }

  #handlers(): ControlHandlers {
    return requestHandlers({
      account: this.#telemetry,
      holder: this.#holder,
      temporary: this.#temporary,
      drivers: this.#drivers,
      host: this.#host,
      classNumbers: this.#refresher.classNumbers,
      loop: this.#loop,
      log: this.#log,
      startedAtMs: this.#startedAtMs,
      store: this.#store,
      names: this.#names,
      desired: this.#desired,
      firewall: this.#firewall,
      view: () => this.#view(),
      reload: (confirmMs) => this.#reloading(() => this.#switch.reload(this.#store, confirmMs)),
      configSwitch: this.#switch,
      enforceTemporary: async () => {
        await this.#switchTo(this.#desired.config)
        await this.#enforceNow()
      },
      failure: () => this.#failure(),
      failingNames: (names) => this.#failingNames(names),
      requestStop: this.#options.requestStop,
    })
  }

  #statusLine(): string {
    const { problems } = this.#health
    return problems.length > 0
      ? `degraded: ${problems.join('; ')}`.slice(0, 400)
      : `enforcing ${this.#desired.policies.names.size} names`
  }
}

/** After answers, or a change of rules that was none of ours, the figures can wait for the next timer: they cost more than the pass. */
const tells = (triggers: ReadonlySet<Trigger>, outcome: string): boolean =>
  outcome === 'failed' ||
  [...triggers].some((trigger) => trigger !== 'answer' && !(trigger === 'drift' && outcome === 'unchanged'))

/** What a reload can change. Where in a file an entry stands is not of it. */
const shapeOf = ({ config, policies }: Desired): string =>
  policies.digest + JSON.stringify(config, (key, value: unknown) => (key === 'where' ? undefined : value))
