import { hostConfigEnv } from '../config/env.ts'
import { loadConfig, type Loaded } from '../config/load.ts'
import type { Config, Problem } from '../config/model.ts'
import { formatProblem } from '../config/problem.ts'
import { reloadAccepted } from '../host/accepted-config.ts'
import { acceptedConfig } from '../host/saved.ts'
import type { Logger } from '../observe/logger.ts'
import type { Health } from './health.ts'
import { Store } from './store.ts'
import { stateDirectories } from './warm.ts'

/** No config is to be had: neither the file nor one that was accepted earlier. */
export class NoConfigError extends Error {
  override readonly name = 'NoConfigError'
  constructor(readonly problems: readonly Problem[]) {
    super('the config is bad and none was accepted before')
  }
}

export interface FirstConfig {
  readonly config: Config
  readonly store: Store
}

/** The config in force: the file's as long as it is good, else the last one that was. */
export class ConfigHolder {
  loadedAtMs: number | undefined
  /** The texts of the config in force; empty when they are not those on the disk. */
  sources: Loaded['sources'] = []
  lastLoadSuccessful = true

  constructor(
    readonly file: string,
    private readonly health: Health,
    private readonly log: Logger,
    /** `STATE_DIRECTORY` of the service manager. */
    private readonly stateDirectory: string | undefined,
  ) {}

  /** @throws NoConfigError */
  async first(): Promise<FirstConfig> {
    const loaded = await this.#read()
    if (loaded.config) {
      const store = new Store(loaded.config.state, this.health, this.log)
      await this.#accept(loaded, store)
      return { config: loaded.config, store }
    }
    const config = await this.#lastAccepted()
    if (!config) throw new NoConfigError(loaded.problems)
    this.#refused()
    return { config, store: new Store(config.state, this.health, this.log) }
  }

  /** Looked for where the refused file, the service manager or the default say that the state lies. */
  async #lastAccepted(): Promise<Config | undefined> {
    for (const directory of await stateDirectories(this.file, this.stateDirectory)) {
      const accepted = await new Store(directory, this.health, this.log).load(
        'accepted-config',
        acceptedConfig,
      )
      // What was accepted for another file is another policy.
      if (accepted?.file !== this.file) continue
      const { config } = await reloadAccepted(accepted)
      if (config) return config
    }
    return undefined
  }

  /** The config is absent when the file is refused: then all stays as it was. */
  async again(store: Store): Promise<Loaded> {
    const loaded = await this.#read()
    if (loaded.config) await this.#accept(loaded, store)
    else this.#refused()
    return loaded
  }

  async #read(): Promise<Loaded> {
    const loaded = await loadConfig(this.file, hostConfigEnv)
    for (const problem of loaded.problems) this.#tell(problem)
    return loaded
  }

  async #accept({ sources }: Loaded, store: Store): Promise<void> {
    this.loadedAtMs = Date.now()
    this.sources = sources
    this.lastLoadSuccessful = true
    this.health.good('config')
    await store.save('accepted-config', { file: this.file, sources: [...sources] }, acceptedConfig)
  }

  #refused(): void {
    this.lastLoadSuccessful = false
    this.health.bad('config', `${this.file} is refused: the last accepted config is enforced`)
  }

  #tell(problem: Problem): void {
    const { file, line, column, severity } = problem
    const fields = { file, line, column, problem: formatProblem(problem) }
    if (severity === 'error') this.log.error(fields, 'config refused')
    else this.log.warn(fields, 'config warning')
  }
}
