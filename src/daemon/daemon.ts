import { hostConfigEnv } from '../config/env.ts'
import { loadConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config, Problem } from '../config/model.ts'
import { ControlServer } from '../control/server.ts'
import {
  allowRequest,
  heldRequest,
  verifiedRequest,
  planRequest,
  type AllowAnswer,
  type PlanAnswer,
  type ReloadAnswer,
} from '../control/protocol.ts'
import type { StatusReport } from '../control/status.ts'
import { allowSet } from '../dataplane/names.ts'
import type { KnownSet } from '../ipset/sync.ts'
import { parseAddress } from '../net/address.ts'
import { classify } from '../net/ranges.ts'
import { FAMILIES, type Hostname } from '../net/types.ts'
import { watchRules } from '../nftables/monitor.ts'
import { startHttpServer, type HttpServer } from '../observe/http.ts'
import { type Logger } from '../observe/logger.ts'
import { Metrics } from '../observe/metrics.ts'
import { compile } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import { Counters } from '../reconcile/counters.ts'
import { Desired } from '../reconcile/desired.ts'
import { Firewall, type PassResult } from '../reconcile/firewall.ts'
import { Loop, type Trigger } from '../reconcile/loop.ts'
import { Ledger } from '../resolve/ledger.ts'
import { Refresher, type LookupReport } from '../resolve/refresher.ts'
import { Resolver } from '../resolve/resolver.ts'
import type { Run } from '../system/exec.ts'
import type { LineProcess } from '../system/line-process.ts'
import { SaveQueue } from '../system/save-queue.ts'
import { StateStore } from '../system/state.ts'
import type { ServiceManager } from '../system/systemd.ts'
import { VERSION } from '../version.ts'
import { connectDocker } from '../workloads/docker-api.ts'
import { DockerWatcher } from '../workloads/docker-watcher.ts'
import { watchLinks } from '../workloads/link-watcher.ts'
import { findUnprotected } from '../workloads/unprotected.ts'
import type { Unprotected } from '../workloads/model.ts'
import { reloadAccepted } from '../host/accepted-config.ts'
import { writeClosedGuard } from '../host/closed-guard.ts'
import { createDrivers, type HostDrivers } from '../host/drivers.ts'
import { planChange } from '../host/plan-change.ts'
import { Health } from './health.ts'
import { HostView, ownServers } from '../host/host-view.ts'
import * as saved from '../host/saved.ts'
import { TemporaryAllows } from '../host/temporary.ts'

export interface DaemonOptions {
  readonly configFile: string
  readonly runtimeDirectory: string
  readonly run: Run
  readonly log: Logger
  readonly service: ServiceManager
}

/** No config is to be had: neither the file nor one that was accepted earlier. */
export class NoConfigError extends Error {
  override readonly name = 'NoConfigError'
  constructor(readonly problems: readonly Problem[]) {
    super('the config is bad and none was accepted before')
  }
}

/** How often the sets' headers are looked at. */
const HEADERS_MS = 5_000
/** How often the rules are read whole, for their counters and for what no monitor told. */
const RULES_MS = 15_000
/** Legacy iptables has no monitor. */
const LEGACY_RULES_MS = 4_500
/** The first pass waits this long for the engine, so that a restart does not close networks that it is about to learn of. */
const ENGINE_WAIT_MS = 2_000
/** Reading a set costs about 8 µs an element: read this rarely, it costs half a per cent of a core. */
const READ_MS_PER_ELEMENT = 1.6
const READ_AT_LEAST_MS = 15_000
const READ_AT_MOST_MS = 540_000

/** What makes a pass look at the rules, beside a change of what is desired. */
const RULE_TRIGGERS: readonly Trigger[] = ['start', 'drift', 'reload', 'until', 'retry']

/** The composition root: builds the adapters, wires what triggers a pass, starts and stops in order. */
export class Daemon {
  readonly #options: DaemonOptions
  readonly #log: Logger
  readonly #metrics = new Metrics()
  readonly #health: Health
  readonly #host: HostView
  readonly #temporary = new TemporaryAllows()
  readonly #counters = new Counters()
  readonly #loop = new Loop((triggers) => this.#pass(triggers))
  readonly #startedAtMs = Date.now()
  readonly #drivers: HostDrivers
  readonly #repairs: Record<string, number> = {}
  readonly #setReadAtMs = new Map<string, number>()
  #config!: Config
  #configLoadedAtMs: number | undefined
  #reloadSuccessful = true
  #ledger!: Ledger
  #resolver!: Resolver
  #refresher!: Refresher
  #state!: StateStore
  #desired!: Desired
  #firewall!: Firewall
  #ledgerSaves!: SaveQueue
  #counterSaves!: SaveQueue
  #docker: { connected: boolean; error: string | undefined } = { connected: false, error: 'not asked yet' }
  #unprotected: readonly Unprotected[] = []
  #guards = { rules: false, backstop: false }
  #lastRulesReadMs = 0
  #lastRenewalMs = Date.now()
  #lastRepairMs: number | undefined
  #lastReconcile: { atMs: number; outcome: string } | undefined
  #lastVerified: { atMs: number; passed: boolean } | undefined
  #lastWatchdogMs = 0
  #closedGuard: string | undefined
  #surroundingsStale = true
  #interfacesStale = true
  #engineHeard: () => void = () => undefined
  #stops: (() => Promise<unknown>)[] = []
  #http: HttpServer | undefined
  #watcher: DockerWatcher | undefined
  #listingTimer: NodeJS.Timeout | undefined
  #endTimer: NodeJS.Timeout | undefined

  constructor(options: DaemonOptions) {
    this.#options = options
    this.#log = options.log
    this.#host = new HostView(options.run)
    this.#drivers = createDrivers(options.run)
    this.#health = new Health((key, problem) => {
      if (problem === undefined) this.#log.info({ concern: key }, 'recovered')
      else this.#log.warn({ concern: key, problem }, 'degraded')
    })
  }

  /**
   * Resolves when the kernel holds the policy for the first time.
   * @throws NoConfigError when there is nothing to enforce: the closed guard is then loaded.
   */
  async start(): Promise<void> {
    await this.#loadFirstConfig()
    await this.#restoreState()
    await this.#serveControl()
    this.#serveHttp()
    await this.#watchEngine()
    await this.#loop.requestAndWait('start')
    this.#watchKernel()
    this.#refresher.start()
    this.#startTimers()
    await this.#whenEnforcing()
    await this.#options.service.ready(this.#statusLine())
    this.#log.info({ version: VERSION, names: this.#desired.policies.names.size }, 'enforcing')
  }

  /** Stops and leaves the rules in force. */
  async stop(): Promise<void> {
    await this.#options.service.stopping()
    for (const stop of this.#stops.reverse()) await stop()
    await this.#http?.close()
    await this.#refresher.stop()
    this.#resolver.close()
    await this.#loop.stop()
    await this.#ledgerSaves.flush()
    await this.#counterSaves.flush()
    this.#log.info({}, 'stopped; the rules stay in force')
  }

  /** What SIGHUP does: validate, then switch in one step. A bad file changes nothing. */
  async reload(): Promise<ReloadAnswer> {
    await this.#options.service.reloading()
    try {
      return await this.#reload()
    } finally {
      await this.#options.service.ready(this.#statusLine())
    }
  }

  async #reload(): Promise<ReloadAnswer> {
    const loaded = await loadConfig(this.#options.configFile, hostConfigEnv)
    const { problems } = loaded
    this.#tellProblems(problems)
    if (!loaded.config) {
      this.#reloadSuccessful = false
      this.#metrics.setConfigReload(false)
      this.#health.bad(
        'config',
        `${this.#options.configFile} is refused: the last accepted config is enforced`,
      )
      return { outcome: 'refused', problems }
    }
    const before = this.#desired.policies.digest
    await this.#accept(loaded.config, { file: this.#options.configFile, sources: [...loaded.sources] })
    await this.#switchTo(loaded.config)
    await this.#loop.requestAndWait('reload')
    if (this.#health.has('kernel')) {
      return { outcome: 'failed', problems, detail: this.#health.problems.join('; ') }
    }
    const outcome = before === this.#desired.policies.digest ? 'unchanged' : 'applied'
    this.#log.info({ outcome, names: this.#desired.policies.names.size }, 'reloaded')
    return { outcome, problems }
  }

  async #accept(config: Config, accepted: saved.AcceptedConfig): Promise<void> {
    this.#config = config
    this.#configLoadedAtMs = Date.now()
    this.#reloadSuccessful = true
    this.#metrics.setConfigReload(true)
    this.#health.good('config')
    this.#log.level = config.log.level
    await this.#save('accepted-config', accepted, saved.acceptedConfig)
  }

  async #switchTo(config: Config): Promise<void> {
    const policies = this.#compile(config)
    this.#resolver.setServers(await ownServers(config), config.resolver.timeoutMs)
    this.#refresher.reconfigure(this.#refresherSettings(config, policies))
    // Names that were removed are gone from the ledger now, so the policy is built from what is left.
    this.#ledger.takeChanged()
    this.#desired.setPolicy(config, policies)
    this.#surroundingsStale = true
  }

  #compile(config: Config): Policies {
    const nowMs = Date.now()
    this.#temporary.expire(nowMs)
    const policies = compile(config, this.#temporary.entries(), nowMs)
    this.#armEnd(policies.nextEndMs)
    return policies
  }

  /** An `until` or a temporary entry ends without anybody's doing. */
  #armEnd(nextEndMs: number | undefined): void {
    clearTimeout(this.#endTimer)
    if (nextEndMs === undefined) return
    const waitMs = Math.min(Math.max(0, nextEndMs - Date.now()) + 50, 2 ** 31 - 1)
    this.#endTimer = setTimeout(() => {
      this.#switchTo(this.#config).then(
        () => this.#loop.request('until'),
        (error: unknown) => this.#log.error({ err: error }, 'an entry that ended could not be taken out'),
      )
    }, waitMs)
  }

  async #loadFirstConfig(): Promise<void> {
    const { configFile } = this.#options
    const loaded = await loadConfig(configFile, hostConfigEnv)
    this.#tellProblems(loaded.problems)
    if (loaded.config) {
      this.#state = new StateStore(loaded.config.state)
      await this.#accept(loaded.config, { file: configFile, sources: [...loaded.sources] })
      return
    }
    const fallback = await this.#lastAccepted()
    if (!fallback) throw new NoConfigError(loaded.problems)
    this.#config = fallback
    this.#reloadSuccessful = false
    this.#metrics.setConfigReload(false)
    this.#log.level = fallback.log.level
    this.#health.bad('config', `${configFile} is refused: the last accepted config is enforced`)
  }

  /** The state directory is named in the config that cannot be read: the default one, or what the environment says, is tried. */
  async #lastAccepted(): Promise<Config | undefined> {
    this.#state = new StateStore(process.env['STATE_DIRECTORY'] ?? '/var/lib/embargod')
    const accepted = await this.#state.load('accepted-config', saved.acceptedConfig).catch(() => undefined)
    if (accepted?.kind !== 'loaded') return undefined
    return (await reloadAccepted(accepted.value)).config
  }

  #tellProblems(problems: readonly Problem[]): void {
    for (const problem of problems) {
      const fields = {
        file: problem.file,
        line: problem.line,
        column: problem.column,
        problem: formatProblem(problem),
      }
      if (problem.severity === 'error') this.#log.error(fields, 'config refused')
      else this.#log.warn(fields, 'config warning')
    }
  }

  async #restoreState(): Promise<void> {
    const config = this.#config
    await this.#host.readInterfaces()
    await this.#restoreTemporary()
    const policies = this.#compile(config)
    this.#ledger = new Ledger({
      limits: {
        refreshMaxMs: config.resolver.refresh.maxMs,
        retainMs: config.resolver.retainMs,
        maxAddressesPerName: config.resolver.maxAddressesPerName,
      },
      classify,
      parseAddress,
    })
    this.#ledger.configure(policies.names)
    await this.#restoreLedger()
    await this.#restoreCounters()
    this.#resolver = new Resolver({ servers: await ownServers(config), timeoutMs: config.resolver.timeoutMs })
    this.#refresher = new Refresher({
      settings: this.#refresherSettings(config, policies),
      resolver: this.#resolver,
      ledger: this.#ledger,
      log: this.#log,
      isHostAddress: this.#host.isHostAddress,
      seed: this.#options.configFile,
      onChange: () => this.#loop.request('answer'),
      onLookup: (report) => this.#onLookup(report),
    })
    this.#ledger.takeChanged()
    const generation = await this.#load('generation', saved.savedGeneration)
    this.#desired = new Desired({
      config,
      policies,
      surroundings: { plan: this.#host.plan(config), resolvers: [] },
      generation: generation?.generation ?? 1,
      held: (name) => this.#ledger.held(name),
    })
    this.#firewall = new Firewall(
      this.#desired,
      this.#drivers,
      this.#drivers.conntrack,
      generation ?? { generation: 1, digest: '' },
      (name, address) => this.#ledger.everHeld(name, address),
      (next) => this.#save('generation', next, saved.savedGeneration),
      (known, nowMs) => this.#adopt(known, nowMs),
      (error) =>
        this.#log.warn(
          { err: error },
          'live connections could not be read: those on expired addresses may break',
        ),
    )
    this.#ledgerSaves = new SaveQueue({
      delayMs: 1_000,
      save: () => this.#state.save('addresses', this.#ledger.snapshot(), saved.savedLedger),
      onError: (error) => this.#health.bad('state', `state cannot be saved: ${messageOf(error)}`),
      onSaved: () => this.#health.good('state'),
    })
    this.#counterSaves = new SaveQueue({
      delayMs: 30_000,
      save: () => this.#state.save('counters', this.#counters.snapshot(), saved.savedCounters),
      onError: (error) => this.#health.bad('state', `state cannot be saved: ${messageOf(error)}`),
      onSaved: () => this.#health.good('state'),
    })
  }

  /** A fresh process takes over what an earlier one had put into the kernel under names that are still configured. */
  #adopt(known: ReadonlyMap<string, KnownSet>, nowMs: number): void {
    const { membership } = this.#desired
    const { maxStaleMs } = this.#config.resolver
    for (const [set, { elements }] of known) {
      for (const [element, { comment, expiresAtMs }] of elements) {
        const address = parseAddress(element)
        if (address === undefined || membership.has(set, element)) continue
        const seenAtMs = Math.min(nowMs, expiresAtMs - maxStaleMs)
        for (const name of comment.split(' ')) {
          this.#ledger.adopt(name as Hostname, address, seenAtMs, this.#host.isHostAddress)
        }
      }
    }
    this.#desired.refreshNames(this.#ledger.takeChanged())
  }

  async #restoreLedger(): Promise<void> {
    const snapshot = await this.#load('addresses', saved.savedLedger)
    if (snapshot === undefined) return
    try {
      this.#ledger.restore(snapshot, Date.now(), this.#host.isHostAddress)
    } catch (error) {
      this.#log.error({ err: error }, 'saved addresses could not be used')
    }
  }

  async #restoreCounters(): Promise<void> {
    const snapshot = await this.#load('counters', saved.savedCounters)
    if (snapshot) this.#counters.restore(snapshot)
  }

  async #restoreTemporary(): Promise<void> {
    for (const { entry, untilMs } of (await this.#load('temporary', saved.savedTemporary)) ?? []) {
      try {
        if (untilMs > Date.now()) this.#temporary.add(entry, untilMs)
      } catch (error) {
        this.#log.warn({ err: error, entry }, 'a temporary entry is no longer valid')
      }
    }
  }

  async #load<T>(
    name: string,
    format: { version: number; schema: import('zod').ZodType<T> },
  ): Promise<T | undefined> {
    try {
      const loaded = await this.#state.load(name, format)
      if (loaded.kind === 'loaded') return loaded.value
      if (loaded.kind === 'corrupt')
        this.#log.error(
          { movedTo: loaded.movedTo, detail: loaded.detail },
          'state file was corrupt and is moved aside',
        )
      if (loaded.kind === 'newer')
        this.#health.bad('state', `the state file ${name} was written by a later version and is left alone`)
    } catch (error) {
      this.#health.bad('state', `state cannot be read: ${messageOf(error)}`)
    }
    return undefined
  }

  async #save<T>(
    name: string,
    value: T,
    format: { version: number; schema: import('zod').ZodType<T> },
  ): Promise<void> {
    try {
      await this.#state.save(name, value, format)
      this.#health.good('state')
    } catch (error) {
      this.#health.bad('state', `state cannot be saved: ${messageOf(error)}`)
    }
  }

  #refresherSettings(config: Config, policies: Policies) {
    const { refresh, retainMs, maxAddressesPerName, maxQueriesPerSecond, sweep } = config.resolver
    return { names: policies.names, refresh, retainMs, maxAddressesPerName, maxQueriesPerSecond, sweep }
  }

  #onLookup({ name, lookup, durationMs, refused }: LookupReport): void {
    const records = lookup.kind === 'addresses' ? lookup.records.length : 0
    this.#metrics.countLookup(records > 0 && refused.length >= records ? 'refused_range' : lookup.kind)
    this.#metrics.observeLookup(durationMs / 1000)
    if (lookup.kind === 'addresses') this.#ledgerSaves.request()
    void name
  }

  /** Resolves when the engine was listed, or found absent, or is too slow to wait for. */
  #watchEngine(): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      this.#engineHeard = resolve
      setTimeout(resolve, ENGINE_WAIT_MS).unref()
    })
    const watcher = new DockerWatcher({
      connect: () => connectDocker(this.#config.docker.socket),
      listener: {
        onInventory: (inventory, engine, listedAtMs) => {
          this.#host.setInventory(inventory, engine, listedAtMs)
          this.#armListing()
          this.#surroundingsStale = true
          this.#engineHeard()
          this.#loop.request('docker')
        },
        onNetwork: (network) => {
          this.#host.addNetwork(network)
          this.#surroundingsStale = true
          this.#loop.request('docker')
        },
        onEvent: (type, action) => this.#metrics.countDockerEvent(type, action),
        onProblem: (sentence) => this.#log.warn({ problem: sentence }, 'the engine said something odd'),
        onState: (state) => {
          this.#docker = state
          this.#metrics.setDockerConnected(state.connected)
          if (state.connected) this.#health.good('docker')
          else {
            this.#health.bad(
              'docker',
              `the Docker engine cannot be reached at ${this.#config.docker.socket}: ${state.error ?? ''}`,
            )
            this.#engineHeard()
          }
        },
      },
    })
    watcher.start()
    this.#watcher = watcher
    this.#stops.push(() => watcher.stop())
    return heard
  }

  /** A new bridge that the engine does not list is opened only by a listing that begins after it had its time. */
  #armListing(): void {
    clearTimeout(this.#listingTimer)
    const atMs = this.#host.nextListingAtMs()
    if (atMs === undefined) return
    this.#listingTimer = setTimeout(() => this.#watcher?.relist(), Math.max(0, atMs - Date.now()) + 10)
  }

  #watchKernel(): void {
    const watches: LineProcess[] = [
      watchLinks({
        onLink: (change) => {
          if (change.kind !== 'bridge') return
          if (change.deleted) this.#host.bridgeVanished(change.name)
          else this.#host.bridgeSeen(change.name, Date.now())
          this.#armListing()
          this.#interfacesStale = true
          this.#loop.request('link')
        },
        onStart: () => {
          this.#interfacesStale = true
          this.#loop.request('link')
        },
        onEnd: (error) => this.#log.debug({ err: error }, 'watching interfaces ended and begins again'),
      }),
      watchRules({
        onChange: () => this.#loop.request('drift'),
        onStart: () => this.#loop.request('drift'),
        onEnd: (error) => this.#log.debug({ err: error }, 'watching rules ended and begins again'),
      }),
    ]
    for (const watch of watches) {
      watch.start()
      this.#stops.push(() => watch.stop())
    }
  }

  #startTimers(): void {
    const timer = setInterval(() => this.#loop.request('timer'), HEADERS_MS)
    this.#stops.push(async () => {
      clearInterval(timer)
      clearTimeout(this.#endTimer)
      clearTimeout(this.#listingTimer)
    })
  }

  async #whenEnforcing(): Promise<void> {
    while (!this.#guards.rules) await this.#loop.requestAndWait('retry')
  }

  async #pass(triggers: ReadonlySet<Trigger>): Promise<void> {
    const startedMs = performance.now()
    const nowMs = Date.now()
    let outcome: string = 'failed'
    try {
      await this.#observeSurroundings(triggers)
      this.#desired.refreshNames(this.#ledger.takeChanged())
      const result = await this.#firewall.pass(this.#scope(triggers, nowMs), nowMs)
      outcome = result.outcome
      this.#booked(result, triggers)
      await this.#keepClosedGuard()
    } catch (error) {
      this.#guards.rules =
        this.#guards.rules && this.#lastReconcile?.outcome !== 'failed' ? this.#guards.rules : false
      this.#health.bad('kernel', `the kernel does not hold the policy: ${chainOf(error)}`)
      this.#log.error({ err: error, triggers: [...triggers] }, 'pass failed')
      throw error
    } finally {
      this.#lastReconcile = { atMs: Date.now(), outcome }
      for (const trigger of triggers) this.#metrics.countReconcile(trigger, outcome)
      this.#metrics.observeReconcile((performance.now() - startedMs) / 1000)
      this.#metrics.setLastReconcile(Date.now() / 1000)
      this.#report()
      this.#feedWatchdog()
    }
  }

  async #observeSurroundings(triggers: ReadonlySet<Trigger>): Promise<void> {
    if (this.#interfacesStale || triggers.has('docker') || triggers.has('reload')) {
      this.#interfacesStale = false
      await this.#host.readInterfaces()
      this.#surroundingsStale = true
    }
    if (!this.#surroundingsStale) return
    this.#surroundingsStale = false
    await this.#host.readResolvers(this.#config)
    this.#desired.setSurroundings({ plan: this.#host.plan(this.#config), resolvers: this.#host.resolvers })
  }

  #scope(triggers: ReadonlySet<Trigger>, nowMs: number) {
    const rulesMs = this.#drivers.iptables.flavour === 'legacy' ? LEGACY_RULES_MS : RULES_MS
    const timed = triggers.has('timer')
    const rules =
      RULE_TRIGGERS.some((trigger) => triggers.has(trigger)) ||
      // Elsewhere the monitor tells when the engine moves its jump.
      (this.#drivers.iptables.flavour === 'legacy' && triggers.has('docker')) ||
      nowMs - this.#lastRulesReadMs >= rulesMs
    const everything = nowMs - this.#lastRenewalMs >= this.#config.resolver.maxStaleMs / 8
    if (everything) this.#lastRenewalMs = nowMs
    return { rules, headers: timed, read: timed ? this.#setsDue(nowMs) : [], everything }
  }

  /** Which sets are read whole now, for their counters and for strangers in them: large ones more rarely. */
  #setsDue(nowMs: number): string[] {
    const known = this.#firewall.reconciler.known
    const due = [...known].filter(([name, set]) => {
      const everyMs = Math.min(
        READ_AT_MOST_MS,
        Math.max(READ_AT_LEAST_MS, set.elements.size * READ_MS_PER_ELEMENT),
      )
      return set.elements.size > 0 && nowMs - (this.#setReadAtMs.get(name) ?? 0) >= everyMs
    })
    // One large set a pass: several would hold up answers.
    let budget = 20_000
    const names: string[] = []
    for (const [name, set] of due.toSorted(
      (a, b) => (this.#setReadAtMs.get(a[0]) ?? 0) - (this.#setReadAtMs.get(b[0]) ?? 0),
    )) {
      if (names.length > 0 && set.elements.size > budget) continue
      budget -= set.elements.size
      names.push(name)
      this.#setReadAtMs.set(name, nowMs)
    }
    return names
  }

  #booked(result: PassResult, triggers: ReadonlySet<Trigger>): void {
    const { observed, summary, drift, backstopError } = result
    this.#health.good('kernel')
    this.#guards.rules = true
    if (backstopError === undefined) {
      if (observed.rules) this.#guards.backstop = true
      if (observed.rules) this.#health.good('backstop')
    } else {
      this.#guards.backstop = false
      this.#health.bad('backstop', `the second guard is missing: ${chainOf(backstopError)}`)
    }
    const dataplane = this.#desired.dataplane()
    if (observed.rules) {
      this.#lastRulesReadMs = Date.now()
      this.#counters.readRules(dataplane, observed.rules)
      this.#counterSaves.request()
    }
    this.#counters.readSets(
      this.#firewall.reconciler.known,
      observed.sets,
      this.#desired.policies,
      this.#desired.membership,
    )
    if (summary.length > 0)
      this.#log.info(
        { triggers: [...triggers], changes: summary.slice(0, 20), count: summary.length },
        'kernel changed',
      )
    for (const kind of drift) {
      this.#metrics.countDriftRepair(kind)
      this.#repairs[kind] = (this.#repairs[kind] ?? 0) + 1
      this.#lastRepairMs = Date.now()
      this.#log.warn({ kind }, 'drift repaired')
    }
  }

  async #keepClosedGuard(): Promise<void> {
    const { backstop } = this.#desired.dataplane()
    const shape = JSON.stringify(backstop)
    if (shape === this.#closedGuard) return
    try {
      await writeClosedGuard(this.#config.state, backstop)
      this.#closedGuard = shape
    } catch (error) {
      this.#health.bad('state', `the closed guard for the next boot cannot be written: ${messageOf(error)}`)
    }
  }

  /** Tells Prometheus and whoever asks; nothing here reads the kernel. */
  #report(): void {
    const { policies, surroundings } = this.#desired
    const dataplane = this.#desired.dataplane()
    const networkOf = this.#networkOf()
    this.#metrics.setEnforcing('rules', this.#guards.rules)
    this.#metrics.setEnforcing('backstop', this.#guards.backstop)
    this.#metrics.setRuleCounters(this.#counters.ruleCounts(dataplane))
    this.#metrics.setDenied(this.#counters.deniedCounts(networkOf))
    this.#metrics.setDomainConnections(this.#counters.domainCounts(policies))
    this.#metrics.setAddresses(this.#addressCounts())
    this.#metrics.setNetworks(surroundings.plan.guarded.length, surroundings.plan.open.length)
    const nowMs = Date.now()
    const stale = this.#ledger.statuses().filter((status) => status.state === 'stale')
    this.#metrics.setNames(
      this.#ledger.counts(),
      stale.map(({ name, lastSuccessMs }) => ({
        domain: name,
        seconds: (nowMs - (lastSuccessMs ?? nowMs)) / 1000,
      })),
    )
    this.#unprotected = findUnprotected({
      inventory: this.#host.inventory,
      engine: this.#host.engine,
      interfaces: this.#host.interfaces,
      plan: surroundings.plan,
      config: this.#config,
      secondGuard: this.#guards.backstop,
      dnsGateway: false,
    })
    this.#metrics.setUnprotected(this.#unprotected)
    this.#judgeEngine()
    this.#metrics.setBuildInfo({
      version: VERSION,
      backend: `iptables-${this.#drivers.iptables.flavour ?? 'unknown'}`,
      engine: this.#host.engine?.version ?? 'unknown',
    })
  }

  /** An engine that does not ask DOCKER-USER is held by the closed guard alone. */
  #judgeEngine(): void {
    for (const reason of ['engine-backend', 'rootless'] as const) {
      const found = this.#unprotected.find((one) => one.reason === reason)
      if (found) this.#health.bad(reason, found.advice)
      else this.#health.good(reason)
    }
  }

  #networkOf(): (bridge: string) => string | undefined {
    const names = new Map(
      this.#desired.surroundings.plan.guarded.map((one) => [one.bridge, one.networkName ?? one.bridge]),
    )
    return (bridge) => names.get(bridge)
  }

  #addressCounts(): { policy: string; family: 'ipv4' | 'ipv6'; count: number }[] {
    const { policies, membership } = this.#desired
    return policies.policies.flatMap((policy) =>
      FAMILIES.map((family) => ({
        policy: policy.id,
        family: family === 4 ? ('ipv4' as const) : ('ipv6' as const),
        count: policy.groups.reduce(
          (sum, group) => sum + membership.sizeOf(allowSet(policy.id, group.ports, family)),
          0,
        ),
      })),
    )
  }

  #feedWatchdog(): void {
    const { watchdogIntervalMs } = this.#options.service
    const nowMs = performance.now()
    if (watchdogIntervalMs === undefined || nowMs - this.#lastWatchdogMs < watchdogIntervalMs / 2) return
    this.#lastWatchdogMs = nowMs
    void this.#options.service.watchdog()
  }

  #statusLine(): string {
    const { problems } = this.#health
    const names = this.#desired.policies.names.size
    return problems.length > 0 ? `degraded: ${problems.join('; ')}`.slice(0, 400) : `enforcing ${names} names`
  }

  status(): StatusReport {
    const { policies, surroundings } = this.#desired
    const denied = this.#counters.deniedCounts(this.#networkOf())
    const deniedBy = (network: string): number =>
      denied.filter((row) => row.network === network).reduce((sum, row) => sum + row.packets, 0)
    const addresses = this.#addressCounts()
    const addressesOf = (policy: string, family: 'ipv4' | 'ipv6'): number =>
      addresses.find((row) => row.policy === policy && row.family === family)?.count ?? 0
    return {
      daemon: 'running',
      health: this.#notReady().length === 0 ? 'healthy' : 'degraded',
      problems: this.#notReady(),
      version: VERSION,
      pid: process.pid,
      startedAtMs: this.#startedAtMs,
      config: {
        file: this.#options.configFile,
        loadedAtMs: this.#configLoadedAtMs,
        lastReloadSuccessful: this.#reloadSuccessful,
      },
      backend: {
        flavour: this.#drivers.iptables.flavour ?? 'unknown',
        engine: this.#host.engine?.version ?? 'unknown',
      },
      docker: this.#docker,
      guards: [
        {
          guard: 'rules',
          enforcing: this.#guards.rules,
          detail: 'the verdict, first in DOCKER-USER or FORWARD',
        },
        {
          guard: 'backstop',
          enforcing: this.#guards.backstop,
          detail: 'drops what the rules did not approve',
        },
      ],
      networks: [
        ...surroundings.plan.guarded.map((one) => ({
          name: one.networkName ?? '',
          bridge: one.bridge,
          guarded: true,
          why: one.internal ? 'internal: the engine lets nothing out' : 'guarded',
          deniedPackets: deniedBy(one.networkName ?? one.bridge),
        })),
        ...surroundings.plan.open.map((one) => ({
          name: '',
          bridge: one.name,
          guarded: false,
          why: one.why,
          deniedPackets: 0,
        })),
      ],
      policies: policies.policies.map((policy) => ({
        policy: policy.id,
        addresses: { ipv4: addressesOf(policy.id, 'ipv4'), ipv6: addressesOf(policy.id, 'ipv6') },
        entries: policy.groups.reduce(
          (sum, group) => sum + group.names.size + group.cidrs.size,
          policy.internet.length,
        ),
      })),
      names: this.#ledger.statuses(),
      temporary: this.#temporary.list(),
      counters: this.#counters.ruleCounts(this.#desired.dataplane()),
      drift: { repairs: this.#repairs, lastRepairMs: this.#lastRepairMs },
      lastReconcile: this.#lastReconcile,
      lastVerified: this.#lastVerified,
      unprotected: this.#unprotected,
    }
  }

  async #serveControl(): Promise<void> {
    const server = await ControlServer.start(this.#options.runtimeDirectory, {
      status: async () => this.status(),
      reload: () => this.reload(),
      allow: (body) => this.#allow(body),
      plan: (body) => this.#plan(planRequest.parse(body).config),
      held: async (body) => this.#ledger.held(heldRequest.parse(body).name as Hostname),
      verified: async (body) => this.#verified(verifiedRequest.parse(body)),
      docker: async () => ({ socket: this.#config.docker.socket }),
      stop: async () => {
        setImmediate(() => process.kill(process.pid, 'SIGTERM'))
        return { pid: process.pid }
      },
    })
    this.#stops.push(() => server.close())
  }

  #verified(proof: { atMs: number; passed: boolean }): null {
    this.#lastVerified = proof
    if (proof.passed) this.#metrics.setLastVerified(proof.atMs / 1000)
    this.#log[proof.passed ? 'info' : 'error']({ passed: proof.passed }, 'verified')
    return null
  }

  /** For a file that may not be the one in force. */
  async #plan(file: string): Promise<PlanAnswer> {
    const { config, problems } = await loadConfig(file, hostConfigEnv)
    if (!config) return { problems }
    const nowMs = Date.now()
    const policies = compile(config, this.#temporary.entries(), nowMs)
    const host = this.#host
    const standing = { config, policies, ledger: this.#ledger, host, generation: this.#firewall.generation }
    return {
      problems,
      changes: await this.#loop.exclusively(() => planChange(standing, this.#drivers, nowMs)),
    }
  }

  async #allow(body: unknown): Promise<AllowAnswer> {
    const request = allowRequest.parse(body)
    if (request.action === 'add') this.#temporary.add(request.entry, Date.now() + request.forMs)
    if (request.action === 'revoke') this.#temporary.revoke(request.entry)
    if (request.action !== 'list') {
      await this.#save('temporary', this.#temporary.list(), saved.savedTemporary)
      await this.#switchTo(this.#config)
      await this.#loop.requestAndWait('reload')
      this.#log.warn({ action: request.action, entry: request.entry }, 'temporary allow')
    }
    return { temporary: this.#temporary.list() }
  }

  /** Metrics are no reason not to guard: a taken port is tried again. */
  #serveHttp(): void {
    const { host, port } = this.#config.metrics.listen
    startHttpServer({ host, port, metrics: this.#metrics, notReady: () => this.#notReady() }).then(
      (server) => {
        this.#http = server
        this.#health.good('metrics')
      },
      (error: unknown) => {
        this.#health.bad('metrics', messageOf(error))
        const retry = setTimeout(() => this.#serveHttp(), 10_000)
        retry.unref()
      },
    )
  }

  #notReady(): readonly string[] {
    return this.#guards.rules
      ? this.#health.problems
      : ['the policy is not in the kernel yet', ...this.#health.problems]
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function chainOf(error: unknown): string {
  const messages: string[] = []
  for (
    let current: unknown = error;
    current instanceof Error && messages.length < 5;
    current = current.cause
  ) {
    if (!messages.some((earlier) => earlier.includes(messageOf(current)))) messages.push(messageOf(current))
  }
  return messages.join(': ')
}
