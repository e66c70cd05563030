import { createHash } from 'node:crypto'
import { hostConfigEnv, type ConfigEnv } from '../config/env.ts'
import { loadConfig, type LoadedConfig } from '../config/load.ts'
import type { Config, Problem } from '../config/model.ts'
import { formatProblem } from '../config/problem.ts'
import { lastAccepted } from '../state/accepted-config.ts'
import { acceptedConfig, unconfirmedConfig } from '../state/formats.ts'
import { stateDirectories } from '../state/state-directories.ts'
import type { Logger } from '../observe/logger.ts'
import type { Health } from './health.ts'
import { Store } from './store.ts'
import { errorMessage } from '../system/errors.ts'

/** There is no config to enforce: the file is refused, and none was accepted earlier. */
export class NoConfigError extends Error {
  override readonly name = 'NoConfigError'
  constructor(readonly problems: readonly Problem[]) {
    super('the config is bad and none was accepted before')
  }
}

/** Rules of an earlier process are in force, but its config is unknown: at the end of a trial there would be nothing to go back to. */
export class NoWayBackError extends Error {
  override readonly name = 'NoWayBackError'
  constructor() {
    super(
      'rules of an earlier life stand on this host, and its config cannot be read: there is nothing to go back to. ' +
        'Run without --confirm, or `embargod cleanup` first',
    )
  }
}

/** A restart ends a trial too, which works only when the trial is recorded on the disk. */
export class NoTrialError extends Error {
  override readonly name = 'NoTrialError'
  constructor(cause: unknown) {
    super(
      `the configuration before stays in force: one on trial has to be remembered over a restart, and ${errorMessage(cause)}`,
      { cause },
    )
  }
}

export interface FirstConfig {
  readonly config: Config
  readonly store: Store
}

const ACCEPTED = 'accepted-config'
const UNCONFIRMED = 'unconfirmed-config'

interface Known {
  readonly config: Config
  readonly sources: LoadedConfig['sources']
}

/** Decides which config is in force: that of the file, or the last accepted one while the file is refused or was not confirmed. */
export class ConfigHolder {
  loadedAtMs: number | undefined
  /** The texts of the config in force; empty when a boot must not start with them, as on trial. */
  sources: LoadedConfig['sources'] = []
  lastLoadSuccessful = true
  /** In force, or waiting to come back. */
  #accepted: Known | undefined
  #acceptedAtMs: number | undefined
  /** In force until it is confirmed or taken back. */
  #onTrial: Known | undefined
  readonly #stores = new Map<string, Store>()

  constructor(
    readonly file: string,
    private readonly health: Health,
    private readonly log: Logger,
    /** `STATE_DIRECTORY` of the service manager. */
    private readonly stateDirectory: string | undefined,
    private readonly env: ConfigEnv = hostConfigEnv,
  ) {}

  /** The config that comes back when the one on trial is not confirmed; undefined: nothing is on trial, or there was none before. */
  get before(): Config | undefined {
    return this.#onTrial && this.#accepted?.config
  }

  /**
   * @param trial given when the file is not accepted yet, with whether anything of ours is in force on the host
   * @throws NoConfigError
   * @throws NoWayBackError when a trial could only end in a host that is wider than it was
   * @throws NoTrialError when a restart would not know of the trial
   */
  async first(trial?: { readonly isGuarded: () => Promise<boolean> }): Promise<FirstConfig> {
    const { config, sources, problems } = await this.#read()
    const store = config && this.#storeOf(config)
    const unconfirmed = store !== undefined && !trial && (await this.#isUnconfirmed(sources, store))
    // Only read where it may be needed, since a start is to be short.
    if (!store || trial || unconfirmed) this.#accepted = await this.#lastAccepted()
    const before = this.#accepted?.config
    if (trial && !before && (await trial.isGuarded())) throw new NoWayBackError()
    if (config && store && !(unconfirmed && before)) {
      if (trial) await this.#try({ config, sources }, store)
      else await this.#accept({ config, sources }, store)
      return { config, store }
    }
    if (!before) throw new NoConfigError(problems)
    if (unconfirmed) this.#notConfirmed()
    else this.#refused()
    return { config: before, store: this.#storeOf(before) }
  }

  #storeOf({ state }: Config): Store {
    return this.#storeIn(state)
  }

  /** One store for each directory: two would contradict each other about the health of the same file. */
  #storeIn(directory: string): Store {
    const store = this.#stores.get(directory) ?? new Store(directory, this.health, this.log)
    this.#stores.set(directory, store)
    return store
  }

  /** Looks in the state directories that the refused file, the service manager and the default name. */
  async #lastAccepted(): Promise<Known | undefined> {
    const directories = await stateDirectories(this.file, this.stateDirectory, this.env)
    const last = await lastAccepted(this.file, directories, (directory) =>
      this.#storeIn(directory).load(ACCEPTED, acceptedConfig),
    )
    if (last) this.#acceptedAtMs = this.#storeIn(last.directory).writtenAtMs(ACCEPTED)
    return last
  }

  /**
   * Reads the file again. Without a config in the result the file is refused, and what is in force stays. A `signal` continues a trial, and never
   * takes a config that was on trial and not confirmed.
   * @param problemsOfHost what a config says of this host that is not so. A start takes what a reload refuses here: the engine may not be there yet.
   * @throws NoTrialError when a restart would not know of the trial
   */
  async again(
    store: Store,
    wish: 'good' | 'trial' | 'signal',
    problemsOfHost: (loaded: LoadedConfig) => readonly Problem[] = () => [],
  ): Promise<LoadedConfig> {
    const read = await this.#read()
    const loaded = this.#withProblems(read, problemsOfHost(read))
    const { config, sources, problems } = loaded
    if (!config) {
      this.#refused()
      return loaded
    }
    if (wish === 'trial' || (wish === 'signal' && this.#onTrial)) await this.#try({ config, sources }, store)
    else if (wish === 'signal' && (await this.#isUnconfirmed(sources, store))) {
      this.#notConfirmed()
      return { sources, problems }
    } else await this.#accept({ config, sources }, store)
    return loaded
  }

  /** Accepts the config on trial. False: none is. */
  async confirm(store: Store): Promise<boolean> {
    const { loadedAtMs } = this
    if (!this.#onTrial) return false
    await this.#accept(this.#onTrial, store)
    this.loadedAtMs = loadedAtMs
    return true
  }

  /** Ends the trial and returns the config before it; undefined: there was none. */
  takeBack(): Config | undefined {
    this.#onTrial = undefined
    this.loadedAtMs = Date.now()
    this.sources = this.#accepted?.sources ?? []
    this.#notConfirmed()
    return this.#accepted?.config
  }

  async #read(): Promise<LoadedConfig> {
    const loaded = await loadConfig(this.file, this.env)
    for (const problem of loaded.problems) this.#tell(problem)
    return loaded
  }

  #withProblems(loaded: LoadedConfig, found: readonly Problem[]): LoadedConfig {
    if (found.length === 0) return loaded
    for (const problem of found) this.#tell(problem)
    const problems = [...loaded.problems, ...found]
    const { sources } = loaded
    return found.some(({ severity }) => severity === 'error')
      ? { sources, problems }
      : { ...loaded, problems }
  }

  async #accept(loaded: Known, store: Store): Promise<void> {
    this.#onTrial = undefined
    this.#accepted = loaded
    this.#acceptedAtMs = Date.now()
    this.#inForce(loaded.sources)
    // A restart with a bad file must not bring back an older config. Without any, the host stays as the kernel holds it, and status says so.
    await store.replace(ACCEPTED, { file: this.file, sources: [...loaded.sources] }, acceptedConfig)
    // A config that once was not confirmed may be accepted later.
    if (await store.load(UNCONFIRMED, unconfirmedConfig)) await store.remove(UNCONFIRMED)
  }

  /** Why a restart would not find what is in force, in a sentence; undefined: it would. */
  unsaved(store: Store): string | undefined {
    return store.problemOf(ACCEPTED) ?? store.problemOf(UNCONFIRMED)
  }

  /** A restart still goes back to the config that was accepted before. */
  async #try(loaded: Known, store: Store): Promise<void> {
    const hash = hashOf(loaded.sources)
    try {
      await store.saveNow(UNCONFIRMED, { file: this.file, hash }, unconfirmedConfig)
    } catch (cause) {
      throw new NoTrialError(cause)
    }
    this.#onTrial = loaded
    this.#inForce([])
  }

  #inForce(sources: LoadedConfig['sources']): void {
    this.loadedAtMs = Date.now()
    this.sources = sources
    this.lastLoadSuccessful = true
    this.health.set('config', undefined)
  }

  async #isUnconfirmed(sources: LoadedConfig['sources'], store: Store): Promise<boolean> {
    const known = await store.load(UNCONFIRMED, unconfirmedConfig)
    return known?.file === this.file && known.hash === hashOf(sources)
  }

  #refused(): void {
    this.lastLoadSuccessful = false
    const acceptedAtMs = this.#acceptedAtMs
    const since = acceptedAtMs === undefined ? '' : `, of ${new Date(acceptedAtMs).toISOString()},`
    this.health.set('config', `${this.file} is refused: the last accepted config${since} is enforced`)
  }

  #notConfirmed(): void {
    this.lastLoadSuccessful = false
    this.health.set(
      'config',
      `${this.file} was on trial and nobody confirmed it: the config before it is enforced; \`embargod reload\` takes it as it is`,
    )
  }

  #tell(problem: Problem): void {
    const { file, line, column, severity } = problem
    const fields = { file, line, column, problem: formatProblem(problem) }
    if (severity === 'error') this.log.error(fields, 'config refused')
    else if (severity === 'note') this.log.info(fields, 'config note')
    else this.log.warn(fields, 'config warning')
  }
}

const hashOf = (sources: LoadedConfig['sources']): string =>
  createHash('sha256')
    .update(JSON.stringify(sources.map(({ file, text }) => [file, text])))
    .digest('hex')
