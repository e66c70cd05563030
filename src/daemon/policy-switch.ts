import { changeLines, changeOf } from '../config/change.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Config, Problem } from '../config/model.ts'
import type { ReloadAnswer } from '../control/protocol.ts'
import type { Hostname } from '../net/types.ts'
import { compile } from '../policy/compile.ts'
import type { Policies } from '../policy/model.ts'
import { nameProblems } from '../policy/name-problems.ts'
import { onTrial } from '../policy/trial.ts'
import type { Desired } from '../reconcile/desired.ts'
import { errorMessage } from '../system/errors.ts'
import { namesThatFail } from './after-change.ts'
import type { World } from './compose.ts'
import { EntryExpiry } from './entry-expiry.ts'
import { Trial } from './trial.ts'

/** How long a person who changes something waits for the look-ups of new names. A silent server takes `resolver.timeout`. */
const ANSWERS_MS = 4_000

/** `signal`: SIGHUP, which a closed terminal sends too, so it neither ends a trial nor accepts a config that was not confirmed. */
type ReloadKind = 'good' | 'signal' | { readonly confirmMs: number }

/** Puts configs and temporary entries in force, one after the other: reloads, trials and their ends, entries that expire. */
export class PolicySwitch {
  readonly #world: World
  readonly #onNoWayBack: () => void
  readonly #trial = new Trial(
    () => void this.#takeBack().catch((error: unknown) => this.#notTakenBack(error)),
  )
  readonly #expiry: EntryExpiry
  #turn: Promise<unknown> = Promise.resolve()
  #isStopped = false

  /** @param onNoWayBack nobody confirmed the first config ever, so there is none to go back to */
  constructor(world: World, onNoWayBack: () => void) {
    this.#world = world
    this.#onNoWayBack = onNoWayBack
    this.#expiry = new EntryExpiry(world.temporary, () => void this.#expireEntries())
    this.#expiry.arm(world.desired.policies.nextEndMs)
  }

  /** Until when what is in force has to be confirmed, epoch ms; undefined: it is on no trial. */
  get untilMs(): number | undefined {
    return this.#trial.untilMs
  }

  /** The config with which the daemon started is on trial. */
  beginTrial(confirmMs: number): void {
    this.#startTrial(confirmMs)
    this.recompile()
  }

  /** Compiles what is in force once more: ends of entries are at other times when somebody set the clock. */
  recompile(): void {
    const { desired } = this.#world
    this.#setPolicy(desired.config, this.#compile(desired.config))
  }

  /**
   * Reads the config file and puts it in force. A file that is refused changes nothing.
   * @param confirmMs how long the config is on trial; undefined: it is taken for good
   */
  reload(confirmMs: number | undefined): Promise<ReloadAnswer> {
    return this.#reloadInTurn(confirmMs === undefined ? 'good' : { confirmMs })
  }

  /** What SIGHUP does. */
  reloadBySignal(): Promise<ReloadAnswer> {
    return this.#reloadInTurn('signal')
  }

  /** Keeps what is on trial. False: nothing is. */
  confirm(): Promise<boolean> {
    const { holder, store, log, desired, loop, persister } = this.#world
    return this.#inTurn(async () => {
      this.#trial.end()
      if (!(await holder.confirm(store))) return false
      // Elements that only the trial allows have a time-out at its end, which has to go.
      await this.#switchTo(desired.config)
      await loop.requestAndWait('reload')
      persister.saveWarmStart()
      log.info({}, 'the config is confirmed')
      return true
    })
  }

  /** Puts added and revoked temporary entries in force. Resolves when a pass has tried. */
  async enforceTemporary(): Promise<void> {
    await this.#switchTo(this.#world.desired.config)
    await this.#enforce()
  }

  /** What of these names does not work, in sentences. */
  failingNames(names: ReadonlySet<Hostname>): readonly string[] {
    return namesThatFail(this.#world.names.addressStore, names)
  }

  stop(): void {
    this.#isStopped = true
    this.#trial.end()
    this.#expiry.stop()
  }

  #reloadInTurn(kind: ReloadKind): Promise<ReloadAnswer> {
    return this.#world.serviceStatus.duringReload(() => this.#inTurn(() => this.#reload(kind)))
  }

  async #reload(kind: ReloadKind): Promise<ReloadAnswer> {
    const { holder, store, log, telemetry, health, desired } = this.#world
    const wish = typeof kind === 'string' ? kind : 'trial'
    const { config, problems } = await holder.again(store, wish, (loaded) => this.#problemsOfHost(loaded))
    telemetry.metrics.set('configReload', {}, Number(config !== undefined))
    if (!config) return { outcome: 'refused', problems }
    if (typeof kind === 'object') this.#startTrial(kind.confirmMs)
    // Accepting the file ends a trial that is under way.
    else if (kind === 'good') this.#trial.end()
    const before = {
      fingerprint: fingerprintOf(desired),
      config: desired.config,
      problems: new Set(health.problems),
    }
    await this.#putInForce(config)
    const unsaved = typeof kind === 'string' ? holder.unsaved(store) : undefined
    const detail = health.enforcementFailure
    if (detail !== undefined) return { outcome: 'failed', problems, detail, ...(unsaved ? { unsaved } : {}) }
    const outcome = before.fingerprint === fingerprintOf(desired) ? 'unchanged' : 'applied'
    const changes = changeLines(changeOf(before.config, config, Date.now()))
    const isNews = (problem: string): boolean =>
      !before.problems.has(problem) && (unsaved === undefined || !problem.startsWith('state cannot be'))
    const notWorking = [...this.#failures(), ...health.problems.filter(isNews)]
    const { untilMs } = this
    // Whoever sends a signal reads the log.
    const level = notWorking.length > 0 || unsaved !== undefined ? 'warn' : 'info'
    log[level]({ outcome, changes, notWorking, unsaved }, 'reloaded')
    return {
      outcome,
      problems,
      changes,
      notWorking,
      ...(unsaved === undefined ? {} : { unsaved }),
      ...(untilMs === undefined ? {} : { confirmUntilMs: untilMs }),
    }
  }

  /** What the config says wrongly of this host. Nothing is known of an engine that has not answered, or of another engine that the config names. */
  #problemsOfHost(loaded: LoadedConfig): readonly Problem[] {
    const { desired, host } = this.#world
    const isHeard = loaded.config?.docker.socket === desired.config.docker.socket
    return isHeard ? nameProblems(loaded, host.inventory, host.docker.seenNetworks) : []
  }

  /** What of the policy in force does not work, in sentences. */
  #failures(): readonly string[] {
    const { desired, telemetry } = this.#world
    const { unreadFlows } = telemetry
    return [
      ...this.failingNames(new Set(desired.policies.names.keys())),
      ...(unreadFlows === undefined ? [] : [unreadFlows]),
    ]
  }

  #startTrial(confirmMs: number): void {
    this.#trial.begin(confirmMs)
    this.#world.log.warn({ seconds: confirmMs / 1000 }, 'the config is on trial: `embargod confirm` keeps it')
  }

  #takeBack(): Promise<void> {
    const { holder, log, telemetry } = this.#world
    return this.#inTurn(async () => {
      // A confirmation or a reload may have come first.
      if (!this.#trial.isOver || this.#isStopped) return
      this.#trial.end()
      const config = holder.takeBack()
      telemetry.metrics.set('configReload', {}, 0)
      log.warn({}, 'the config was not confirmed in time: the one before comes back')
      if (config) await this.#putInForce(config)
      else this.#onNoWayBack()
    })
  }

  /** The elements of the trial have timed out in the kernel, but the daemon still wants the config. */
  #notTakenBack(error: unknown): void {
    this.#world.health.set('trial', `the config on trial could not be taken back: ${errorMessage(error)}`)
  }

  async #expireEntries(): Promise<void> {
    const { desired, loop, health } = this.#world
    try {
      await this.#switchTo(desired.config)
      loop.request('until')
      health.set('ends', undefined)
    } catch (error) {
      health.set('ends', `an entry that ended could not be taken out: ${errorMessage(error)}`)
    }
  }

  /** Resolves when the kernel holds it, or when passes have failed. */
  async #putInForce(config: Config): Promise<void> {
    const { desired, log, proof, telemetry, watchers, metricsPort } = this.#world
    const { docker } = desired.config
    log.level = config.log.level
    await this.#switchTo(config)
    proof.reconsider()
    // Without further proofs the result of the last one would never be corrected.
    if (config.verify.everyMs === undefined) telemetry.proofs.forget()
    if (docker.socket !== config.docker.socket) await watchers.watchEngine(config.docker.socket)
    metricsPort.serve(config.metrics.listen)
    await this.#enforce()
  }

  /** Takes rights away at once, then waits for the first look-ups of new names, so that the caller can rely on the result. */
  async #enforce(): Promise<void> {
    const { telemetry, loop, names, desired } = this.#world
    telemetry.forgetUnreadFlows()
    await loop.requestAndWait('reload')
    await names.firstAnswers(desired.policies.names, ANSWERS_MS)
    await loop.requestAndWait('answer')
  }

  async #switchTo(config: Config): Promise<void> {
    const { names, refresher } = this.#world
    const policies = this.#compile(config)
    await names.reconfigure(config, policies)
    // Names that were removed are gone from the address store by now, so the policy is built from what is left.
    names.addressStore.takeChanged()
    this.#setPolicy(config, policies)
    refresher.markStale('hostFacts')
  }

  /** Also arms the moment at which the next entry expires. */
  #compile(config: Config): Policies {
    const { temporary } = this.#world
    const nowMs = Date.now()
    temporary.expire()
    const policies = compile(config, temporary.entries(), nowMs)
    this.#expiry.arm(policies.nextEndMs)
    return policies
  }

  /** During a trial the kernel also holds the policy that comes back if nobody confirms. Where nothing was enforced before, there is none. */
  #setPolicy(config: Config, policies: Policies): void {
    const { desired, holder, temporary } = this.#world
    const { before } = holder
    const { untilMs } = this
    if (before === undefined || untilMs === undefined) {
      desired.setPolicy(config, policies)
      return
    }
    const earlier = compile(before, temporary.entries(), Date.now())
    const trial = onTrial(policies, earlier, untilMs)
    desired.setPolicy(config, trial.tried, { config: before, policies: trial.before })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work, work)
    this.#turn = turn
    return turn
  }
}

/** Everything that a reload can change, as a text to compare. The place of an entry in its file is not part of it. */
const fingerprintOf = ({ config, policies }: Desired): string =>
  policies.digest + JSON.stringify(config, (key, value: unknown) => (key === 'where' ? undefined : value))
