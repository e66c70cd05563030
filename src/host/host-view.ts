import type { Config } from '../config/model.ts'
import type { Address } from '../net/types.ts'
import { ClassNumbers } from '../policy/class-numbers.ts'
import { assign, type Assignment } from '../policy/classes.ts'
import { findStrayRoutes, type StrayRoute } from '../policy/stray-routes.ts'
import { rightsBefore } from '../policy/trial-rights.ts'
import type { HostFacts } from '../reconcile/host-facts.ts'
import type { Run } from '../system/exec.ts'
import type { HostInterface } from '../system/host.ts'
import { askNamespaces, type AskNamespaces } from '../system/net-namespaces.ts'
import { decideInterfaces, type InterfacePlan } from '../workloads/guarded.ts'
import type { Engine, Inventory } from '../workloads/model.ts'
import { serversOf } from '../workloads/resolvers/resolvers.ts'
import { containerGateways } from './container-gateways.ts'
import { ContainerPorts } from './container-ports.ts'
import { EngineInventory } from './engine-inventory.ts'
import { EngineConfig } from './engine-config.ts'
import { hostFactsOf } from './host-facts.ts'
import { findHostGroups } from './host-groups.ts'
import { HostLinks } from './links.ts'
import * as files from './outside-files.ts'

const readKernelFile = (path: string): Promise<string | undefined> =>
  files.readKernelFile(path).catch(() => undefined)

/** What is known of this host, a part for each source. {@link hostFacts} puts the parts together. */
export class HostView {
  /** What the engine said last. */
  readonly docker = new EngineInventory()
  /** What the kernel said of the interfaces. */
  readonly links: HostLinks
  /** What the engine was told in its config. */
  readonly engineConfig = new EngineConfig(this.docker)
  /** Which port of which bridge belongs to which container. */
  readonly ports: ContainerPorts
  #tellsApart = false
  #strayRoutes: readonly StrayRoute[] = []

  constructor(run: Run, namespaces: AskNamespaces = askNamespaces(run)) {
    this.links = new HostLinks(run)
    this.ports = new ContainerPorts(namespaces, readKernelFile)
  }

  get inventory(): Inventory | undefined {
    return this.docker.inventory
  }

  get engine(): Engine | undefined {
    return this.docker.engine
  }

  get interfaces(): readonly HostInterface[] {
    return this.links.interfaces
  }

  readonly isHostAddress = (address: Address): boolean => this.links.addresses.has(address)

  /** Are there policies, so that it matters which port belongs to which container? As of the latest {@link hostFacts}. */
  get tellsApart(): boolean {
    return this.#tellsApart
  }

  /** Containers that leave by another network than the one where they have their rights, as of the latest {@link hostFacts}. */
  get strayRoutes(): readonly StrayRoute[] {
    return this.#strayRoutes
  }

  /** Returns whether everything was listed since the inventory before. */
  setInventory(inventory: Inventory, engine: Engine, listedAtMs: number): boolean {
    this.links.listed(listedAtMs)
    return this.docker.set(inventory, engine, listedAtMs)
  }

  /**
   * Everything outside the policy that shapes the rules. What changes while containers are looked up is for the next call.
   * @param canBind can containers be held to their ports?
   */
  async hostFacts(config: Config, numbers: ClassNumbers, canBind: boolean): Promise<HostFacts> {
    const { inventory, interfaces } = this
    const networks = inventory?.networks ?? []
    const rights = assign(config, inventory, numbers)
    this.#tellsApart = rights !== undefined
    const plan = this.#plan(config)
    const ports = rights && inventory ? await this.ports.bindings(rights, networks, interfaces) : []
    this.#strayRoutes = rights ? findStrayRoutes(rights, networks, await containerGateways(rights)) : []
    const hostGroups = config.guard.hostNetwork
      ? {
          addresses: [...this.links.addresses],
          ...(await findHostGroups(inventory, rights, {
            readText: readKernelFile,
            inodeOf: files.inodeOf,
            list: files.directoriesIn,
          })),
        }
      : undefined
    const { resolvers } = this.engineConfig
    return hostFactsOf({
      inventory,
      interfaces,
      plan,
      rights,
      ports,
      canBind,
      resolvers,
      hostGroups,
    })
  }

  /** What a config on trial would give way to, for packets that are marked as the one on trial says. */
  before(config: Config, tried: Config, rights: Assignment | undefined): NonNullable<HostFacts['before']> {
    const { servers } = config.dns
    // The host's own name servers are not looked up while a config names others.
    const resolvers =
      servers.length > 0
        ? servers
        : tried.dns.servers.length > 0
          ? []
          : serversOf(this.engineConfig.resolvers)
    return {
      plan: this.#plan(config),
      resolvers,
      rights: rightsBefore(rights, assign(config, this.inventory, new ClassNumbers())),
    }
  }

  #plan({ guard }: Config): InterfacePlan {
    this.docker.noteNetworks(guard)
    const { seenNetworks } = this.docker
    return decideInterfaces(this.inventory, this.interfaces, guard, this.links.settling, seenNetworks)
  }
}
