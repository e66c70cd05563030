import type { Config } from '../config/model.ts'
import { engineNameServers, hostNameServers } from '../resolve/host-servers.ts'
import { errorMessage } from '../system/errors.ts'
import type { DockerdProcess } from '../workloads/engine-config/dockerd-process.ts'
import type { EngineResolvConf } from '../workloads/resolvers/engine-resolv-conf.ts'
import {
  engineSwitches,
  UNKNOWN_SWITCHES,
  type EngineSwitches,
  type FoundSwitches,
} from '../workloads/engine-config/engine-switches.ts'
import { findEngines } from '../workloads/engine-config/find-dockerds.ts'
import type { Container } from '../workloads/model.ts'
import {
  containerResolvers,
  serversOf,
  type ContainerResolvers,
  type KnownSources,
  type ResolverInUse,
} from '../workloads/resolvers/resolvers.ts'
import type { EngineInventory } from './engine-inventory.ts'
import * as files from './outside-files.ts'

/** What the engine was told in its config, on its command line and by the host's resolv.conf: whom containers ask, and whether it keeps rules in iptables. */
export class EngineConfig {
  #reads = 0
  #engines: { readonly listedAtMs: number; readonly found: Promise<readonly DockerdProcess[]> } | undefined
  #found: ContainerResolvers = { resolvers: [], askedByEngine: [], problems: [] }
  #switches: FoundSwitches = { switches: UNKNOWN_SWITCHES, problem: undefined }
  readonly #knownSources: KnownSources = { files: new Map() }
  readonly #written = new WeakMap<Container, EngineResolvConf>()

  constructor(private readonly docker: EngineInventory) {}

  /** The resolvers that containers may ask, each with the source that named it first. */
  get resolvers(): readonly ResolverInUse[] {
    return this.#found.resolvers
  }

  /** Names of networks for whose containers the engine asks, from the host's own network. The gateway does not see such questions. */
  get askedByEngine(): readonly string[] {
    return this.#found.askedByEngine
  }

  get resolverProblems(): readonly string[] {
    return this.#found.problems
  }

  /** Does the engine keep rules in iptables, as far as it was told so? */
  get switches(): EngineSwitches {
    return this.#switches.switches
  }

  /** Why it is not known what the engine was told of iptables. */
  get switchProblem(): string | undefined {
    return this.#switches.problem
  }

  /**
   * Never rejects. Resolves to whether the resolvers differ from those before. When a later call finishes first, its result is kept.
   * @param anew looks for the engine among all processes again
   */
  async read(config: Config, anew: boolean): Promise<boolean> {
    if (anew) this.#engines = undefined
    this.#reads += 1
    const read = this.#reads
    const [found, switches] = await Promise.all([this.#findResolvers(config), this.#findSwitches(config)])
    if (read !== this.#reads) return false
    const before = namesIn(this.#found)
    this.#found = found
    this.#switches = switches
    return namesIn(found) !== before
  }

  async #findSwitches(config: Config): Promise<FoundSwitches> {
    let dockerds: readonly DockerdProcess[]
    try {
      dockerds = await this.#findEngines(config.docker.socket)
    } catch (error) {
      const why = errorMessage(error)
      return { switches: UNKNOWN_SWITCHES, problem: `looking for dockerd: ${why}` }
    }
    return engineSwitches({ dockerds, engine: this.docker.engine, readConfig: files.readEngineConfig })
  }

  async #findResolvers(config: Config): Promise<ContainerResolvers> {
    const { servers, gateway } = config.dns
    const resolvers = servers.map((server): ResolverInUse => ({ server, origin: 'dns.servers' }))
    if (servers.length > 0 && !gateway) return { resolvers, askedByEngine: [], problems: [] }
    const found = await containerResolvers(this.docker.inventory, {
      hostNameServers: () => hostNameServers(files.readHostResolvConf),
      engineNameServers: () => engineNameServers(files.readHostResolvConf),
      engineVersion: this.docker.engine?.version,
      readConfig: files.readEngineConfig,
      readWritten: files.readContainerFile,
      dockerds: () => this.#findEngines(config.docker.socket),
      written: this.#written,
      known: this.#knownSources,
    })
    return servers.length > 0 ? { ...found, resolvers } : found
  }

  /** Searching thousands of processes takes long, so the engine is searched for once in each listing. An engine that was restarted or reloaded is listed anew. */
  #findEngines(socket: string): Promise<readonly DockerdProcess[]> {
    const { listedAtMs } = this.docker
    if (this.#engines?.listedAtMs !== listedAtMs) this.#engines = { listedAtMs, found: findEngines(socket) }
    return this.#engines.found
  }
}

const namesIn = ({ resolvers, askedByEngine }: ContainerResolvers): string =>
  [...serversOf(resolvers), ...askedByEngine].join()
