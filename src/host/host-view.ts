import type { Config } from '../config/model.ts'
import type { NameServer } from '../dns/name-server.ts'
import type { Address } from '../net/types.ts'
import { parseAddress } from '../net/address.ts'
import { engineNameServers, hostNameServers } from '../resolve/host-servers.ts'
import { hostAddresses, stopReservedLearning, type HostInterface } from '../system/host.ts'
import { InterfaceTable } from '../system/interface-table.ts'
import type { Run } from '../system/exec.ts'
import { askNamespaces, type AskNamespaces } from '../system/net-namespaces.ts'
import { ClassNumbers } from '../policy/class-numbers.ts'
import { assign, classesByNetwork, type Assignment } from '../policy/classes.ts'
import { findStrayRoutes, withSeveralRights, type StrayRoute } from '../policy/stray-routes.ts'
import { rightsBefore } from '../policy/trial-rights.ts'
import type { HostFacts } from '../reconcile/desired.ts'
import { isUsableInterfaceName } from '../workloads/bridge-name.ts'
import { decideInterfaces, type InterfacePlan } from '../workloads/guarded.ts'
import type { Container, Engine, Inventory, Network } from '../workloads/model.ts'
import { publishedOf, servedOf } from '../workloads/published.ts'
import {
  containerResolvers,
  serversOf,
  type ContainerResolvers,
  type KnownSources,
  type ResolverInUse,
} from '../workloads/resolvers.ts'
import type { DockerdProcess } from '../workloads/dockerd-process.ts'
import { findEngines } from '../workloads/find-dockerds.ts'
import {
  engineSwitches,
  UNKNOWN_SWITCHES,
  type EngineSwitches,
  type FoundSwitches,
} from '../workloads/engine-switches.ts'
import { defaultGateway4, defaultGateway6 } from '../workloads/default-route.ts'
import type { Bindings, HostGroups } from '../dataplane/model.ts'
import type { EngineResolvConf } from '../workloads/engine-resolv-conf.ts'
import { findHostGroups } from './host-groups.ts'
import * as files from './outside-files.ts'
import { ContainerPorts } from './container-ports.ts'
import type { AddressChange, LinkChange } from '../workloads/link-watcher.ts'
import { SettlingBridges } from '../workloads/settling.ts'
import { isContainersEnd } from '../workloads/unprotected.ts'
import { errorMessage } from '../system/errors.ts'

/** How long after its birth a bridge that the engine does not list is taken for somebody else's. Closed until then. */
const SETTLE_MS = 1_000

/** What is known of this host: its interfaces, and what the engine said last. An engine that is gone changes nothing of it. */
export class HostView {
  readonly #run: Run
  readonly #settling = new SettlingBridges(SETTLE_MS)
  #inventory: Inventory | undefined
  #listedAtMs = 0
  #engines: { readonly listedAtMs: number; readonly found: Promise<readonly DockerdProcess[]> } | undefined
  #tellsApart = false
  #engine: Engine | undefined
  readonly #interfaces = new InterfaceTable()
  #addresses: { readonly of: readonly HostInterface[]; readonly all: ReadonlySet<Address> } | undefined
  #resolvers: readonly ResolverInUse[] = []
  #askedByEngine: readonly string[] = []
  #resolverReads = 0
  #engineSwitches = UNKNOWN_SWITCHES
  #switchProblem: string | undefined
  #resolverProblems: readonly string[] = []
  readonly #knownSources: KnownSources = { files: new Map() }
  readonly #written = new WeakMap<Container, EngineResolvConf>()
  readonly #ports: ContainerPorts
  #hostGroups: HostGroups | undefined
  #strayRoutes: readonly StrayRoute[] = []
  /** Of the networks that a config names to be guarded. */
  readonly #seenNetworks = new Set<string>()

  constructor(run: Run, namespaces: AskNamespaces = askNamespaces(run)) {
    this.#run = run
    this.#ports = new ContainerPorts(namespaces, (path) => files.readKernelFile(path).catch(() => undefined))
  }

  get inventory(): Inventory | undefined {
    return this.#inventory
  }

  get engine(): Engine | undefined {
    return this.#engine
  }

  get interfaces(): readonly HostInterface[] {
    return this.#interfaces.all
  }

  /** Does the engine keep rules in iptables, as far as it was told so? */
  get engineSwitches(): EngineSwitches {
    return this.#engineSwitches
  }

  /** Names of networks whose containers have the engine ask for them, from the host's own network: past the gateway. */
  get askedByEngine(): readonly string[] {
    return this.#askedByEngine
  }

  /** Whom containers may ask, each with who named it first. */
  get resolvers(): readonly ResolverInUse[] {
    return this.#resolvers
  }

  /** Addresses that the engine gave to containers, with the container's short id; none while the engine has not been heard. */
  get containers(): ReadonlyMap<Address, string> {
    return new Map(
      (this.#inventory?.containers ?? []).flatMap(({ id, endpoints }) =>
        endpoints.flatMap(({ addresses }) => addresses.map((address) => [address, id.slice(0, 12)] as const)),
      ),
    )
  }

  /** Why containers cannot be told apart. */
  get portsProblem(): string | undefined {
    return this.#ports.problem
  }

  /** Are there containers that run and whose port is not known? */
  get lacksPorts(): boolean {
    return this.#ports.lacksSome
  }

  /** Are there policies, so that it matters whose port is whose? */
  get tellsApart(): boolean {
    return this.#tellsApart
  }

  get resolverProblems(): readonly string[] {
    return this.#resolverProblems
  }

  /** Why it is not known what the engine was told of iptables. */
  get switchProblem(): string | undefined {
    return this.#switchProblem
  }

  readonly isHostAddress = (address: Address): boolean => this.#ownAddresses().has(address)

  /** Returns whether the engine was listed since. */
  setInventory(inventory: Inventory, engine: Engine, listedAtMs: number): boolean {
    const isListed = listedAtMs !== this.#listedAtMs
    this.#inventory = inventory
    this.#engine = engine
    this.#listedAtMs = listedAtMs
    this.#settling.listed(listedAtMs)
    return isListed
  }

  /** A network ahead of the inventory that holds it. */
  addNetwork(network: Network): void {
    // Half a list would open the bridges that are not on it.
    if (!this.#inventory) return
    const others = this.#inventory.networks.filter((one) => one.id !== network.id)
    this.#inventory = { ...this.#inventory, networks: [...others, network] }
  }

  /** A bridge changed or came up: until the engine had time to claim a new one, it is nobody's. */
  bridgeSeen(name: string, nowMs: number): void {
    if (this.interfaces.some((one) => one.name === name)) return
    this.#settling.appeared(name, nowMs)
  }

  bridgeVanished(name: string): void {
    this.#settling.vanished(name)
  }

  /** When the engine has to be asked whether a new bridge is its own, epoch ms. */
  nextListingAtMs(): number | undefined {
    return this.#settling.nextListingAtMs()
  }

  /** Rejects when the kernel does not answer: the interfaces are then as they were. */
  async readInterfaces(): Promise<void> {
    await this.#interfaces.read(this.#run)
  }

  /** Never rejects for a bridge that is gone meanwhile. */
  async stopLearning(bridges: readonly string[]): Promise<void> {
    await stopReservedLearning(this.#run, bridges)
    for (const name of bridges) this.#interfaces.stoppedLearning(name)
  }

  /** The end of a container's pair came, changed or went. */
  portChanged(change: LinkChange): void {
    if (change.deleted) this.#interfaces.delete(change.index)
    else this.#interfaces.put(change)
  }

  /** Is it what is known already? The kernel also tells of states that decide nothing here. */
  knowsLink({ index, name, kind, master, deleted }: LinkChange): boolean {
    const known = this.#interfaces.get(index)
    return !deleted && known?.name === name && known.kind === kind && known.master === master
  }

  /** Of the end of a container's pair it is taken over. Returns false when the addresses of the host are no longer known. */
  addressChanged({ index, address, deleted }: AddressChange): boolean {
    const link = this.#interfaces.get(index)
    if (link && isContainersEnd(link)) {
      this.#interfaces.setAddress(index, address, !deleted)
      return true
    }
    return !deleted && link?.addresses.includes(address) === true
  }

  /** What is known of containers on the host's network since {@link host facts} was asked last. */
  get hostGroups(): HostGroups | undefined {
    return this.#hostGroups
  }

  /** Containers that leave by another network than the one where they have their rights. */
  get strayRoutes(): readonly StrayRoute[] {
    return this.#strayRoutes
  }

  /**
   * Never rejects. Resolves to whether they are others than before; what a later call found is kept.
   * @param anew looks for the engine among all processes again
   */
  async readResolvers(config: Config, anew: boolean): Promise<boolean> {
    if (anew) this.#engines = undefined
    this.#resolverReads += 1
    const read = this.#resolverReads
    const [found, switches] = await Promise.all([this.#findResolvers(config), this.#findSwitches(config)])
    if (read !== this.#resolverReads) return false
    const before = [...serversOf(this.#resolvers), ...this.#askedByEngine]
    this.#resolvers = found.resolvers
    this.#askedByEngine = found.askedByEngine
    this.#resolverProblems = found.problems
    this.#engineSwitches = switches.switches
    this.#switchProblem = switches.problem
    return [...serversOf(found.resolvers), ...found.askedByEngine].join() !== before.join()
  }

  async #findSwitches(config: Config): Promise<FoundSwitches> {
    let dockerds: readonly DockerdProcess[]
    try {
      dockerds = await this.#findEngines(config.docker.socket)
    } catch (error) {
      const why = errorMessage(error)
      return { switches: UNKNOWN_SWITCHES, problem: `looking for dockerd: ${why}` }
    }
    return engineSwitches({ dockerds, engine: this.#engine, readConfig: files.readEngineConfig })
  }

  async #findResolvers(config: Config): Promise<ContainerResolvers> {
    const { servers, gateway } = config.dns
    const resolvers = servers.map((server): ResolverInUse => ({ server, origin: 'dns.servers' }))
    if (servers.length > 0 && !gateway) return { resolvers, askedByEngine: [], problems: [] }
    const found = await containerResolvers(this.#inventory, {
      hostNameServers: () => hostNameServers(files.readHostResolvConf),
      engineNameServers: () => engineNameServers(files.readHostResolvConf),
      engineVersion: this.#engine?.version,
      readConfig: files.readEngineConfig,
      readWritten: files.readContainerFile,
      dockerds: () => this.#findEngines(config.docker.socket),
      written: this.#written,
      known: this.#knownSources,
    })
    return servers.length > 0 ? { ...found, resolvers } : found
  }

  #ownAddresses(): ReadonlySet<Address> {
    if (this.#addresses?.of !== this.interfaces)
      this.#addresses = { of: this.interfaces, all: hostAddresses(this.interfaces) }
    return this.#addresses.all
  }

  /** Among thousands of processes: an engine that is another one, or was told to look at its config again, is listed anew. */
  #findEngines(socket: string): Promise<readonly DockerdProcess[]> {
    if (this.#engines?.listedAtMs !== this.#listedAtMs)
      this.#engines = { listedAtMs: this.#listedAtMs, found: findEngines(socket) }
    return this.#engines.found
  }

  /**
   * Everything outside the policy that shapes the rules.
   * @param isBound can containers be held to their ports?
   */
  async hostFacts(config: Config, numbers: ClassNumbers, isBound: boolean): Promise<HostFacts> {
    const rights = assign(config, this.#inventory, numbers)
    this.#tellsApart = rights !== undefined
    const networks = this.#inventory?.networks ?? []
    const plan = this.plan(config)
    const bindings = rights && (await this.#bindings(rights, plan))
    this.#strayRoutes = rights ? await this.#findStrayRoutes(rights) : []
    const byNetwork = rights && !isBound ? classesByNetwork(rights) : undefined
    this.#hostGroups = config.guard.hostNetwork
      ? {
          addresses: [...this.#ownAddresses()],
          ...(await findHostGroups(this.#inventory, rights, {
            readText: (path) => files.readKernelFile(path).catch(() => undefined),
            inodeOf: files.inodeOf,
            list: files.directoriesIn,
          })),
        }
      : undefined
    return {
      plan,
      learning: rights ? this.#learning(plan) : [],
      resolvers: serversOf(this.#resolvers),
      containers: this.containers,
      published: publishedOf(this.#inventory?.containers ?? []),
      served: servedOf(this.#inventory?.containers ?? []),
      rights,
      bindings,
      classOfBridge:
        byNetwork &&
        new Map(
          networks.flatMap(({ id, bridge }): [string, number][] => {
            const number = byNetwork.get(id)
            return bridge === undefined || number === undefined ? [] : [[bridge, number]]
          }),
        ),
      hostGroups: this.#hostGroups,
    }
  }

  /** Guarded bridges on which a frame that no hook sees could take a neighbour's place. */
  #learning({ guarded }: InterfacePlan): readonly string[] {
    const names = new Set(guarded.map(({ bridge }) => bridge))
    return this.interfaces.flatMap(({ name, learnsReserved }) =>
      names.has(name) && learnsReserved === true ? [name] : [],
    )
  }

  async #findStrayRoutes(rights: Assignment): Promise<StrayRoute[]> {
    const read = (path: string): Promise<string> =>
      files.readKernelFile(path).then(
        (text) => text ?? '',
        () => '',
      )
    const gateways = await Promise.all(
      Array.from(withSeveralRights(rights), async ([id, pid]): Promise<[string, Address[]]> => {
        const [text4, text6] = await Promise.all([
          read(`/proc/${pid}/net/route`),
          read(`/proc/${pid}/net/ipv6_route`),
        ])
        return [id, [defaultGateway4(text4), defaultGateway6(text6)].filter((one) => one !== undefined)]
      }),
    )
    return findStrayRoutes(rights, this.#inventory?.networks ?? [], new Map(gateways))
  }

  /** What a config on trial would give way to, for packets that are marked as the one on trial says. */
  before(config: Config, tried: Config, rights: Assignment | undefined): NonNullable<HostFacts['before']> {
    const { servers } = config.dns
    // Whom the host itself names is not looked for while a config names others.
    const resolvers =
      servers.length > 0 ? servers : tried.dns.servers.length > 0 ? [] : serversOf(this.#resolvers)
    return {
      plan: this.plan(config),
      resolvers,
      rights: rightsBefore(rights, assign(config, this.#inventory, new ClassNumbers())),
    }
  }

  async #bindings(rights: Assignment, { open }: InterfacePlan): Promise<Bindings | 'kept'> {
    // An engine that is not heard says of nobody that he is gone.
    if (!this.#inventory) return 'kept'
    const { networks } = this.#inventory
    const bridges = new Set(networks.map(({ bridge }) => bridge))
    return {
      ports: await this.#ports.bindings(rights, networks, this.interfaces),
      gateways: this.interfaces.flatMap(({ name, addresses }) => (bridges.has(name) ? addresses : [])),
      spared: this.interfaces
        .filter(({ name }) => open.some((one) => one.name === name))
        .flatMap(({ ports }) => ports.map(({ name }) => name).filter(isUsableInterfaceName)),
    }
  }

  plan({ guard }: Config): InterfacePlan {
    // One that is removed and made again later is no misspelling.
    for (const { name } of this.#inventory?.networks ?? [])
      if (guard.networks !== 'all' && guard.networks.includes(name)) this.#seenNetworks.add(name)
    return decideInterfaces(
      this.#inventory,
      this.interfaces,
      guard,
      this.#settling.names(),
      this.#seenNetworks,
    )
  }

  /** Networks to guard that were there since this process began. */
  get seenNetworks(): ReadonlySet<string> {
    return this.#seenNetworks
  }
}

/** The servers that our own look-ups go to: those of the config, else the host's. Rejects when its file cannot be read. */
export async function ownServers(config: Config): Promise<readonly NameServer[]> {
  if (config.resolver.servers.length > 0) return config.resolver.servers
  const servers = await hostNameServers(files.readHostResolvConf)
  return servers
    .filter((server) => parseAddress(server) !== undefined)
    .map((host) => ({ kind: 'plain', host, port: 53 }))
}
