import { parseEngine } from '../engine.ts'
import { parseNetwork } from '../inventory.ts'
import { listOf } from '../json.ts'
import type { Engine, Network } from '../model.ts'
import type { DockerApi } from './api.ts'
import { DockerError } from './docker-error.ts'
import { GATEWAY_NETWORK, type InventoryCache } from './inventory-cache.ts'
import { mapBounded } from './map-bounded.ts'
import { Renames } from './renames.ts'

/** What the engine says of itself, and its networks. */
export interface NetworkListing {
  readonly engine: Engine
  readonly networks: readonly Network[]
  readonly json: readonly unknown[]
}

const INSPECTIONS_AT_ONCE = 8

/** Asks the engine and puts its answers into the cache. Every `read…` resolves to what was not understood in them, in sentences. */
export class Inspector {
  readonly #renames = new Renames()
  /** Images of known containers that are too long to be read. An image never changes, so each would bring its megabytes again. */
  readonly #unreadableImages = new Set<string>()

  constructor(
    private readonly api: DockerApi,
    private readonly cache: InventoryCache,
  ) {}

  /** Puts nothing into the cache: a listing replaces networks and containers together. */
  async listNetworks(): Promise<NetworkListing> {
    const [info, version, json] = await Promise.all([
      this.api.info(),
      this.api.version(),
      this.api.networks(),
    ])
    if (!Array.isArray(json)) throw new Error('listing networks: no list')
    const networks = listOf(json).map((one) => {
      const { value } = parseNetwork(one)
      // The bridge of a network that is left out of the list would be taken for somebody else's, and opened.
      if (!value) throw new Error('listing networks: one of them has no id or no name')
      return value
    })
    return { engine: parseEngine({ info, version }), networks, json }
  }

  /** Every container, inspected. Puts nothing into the cache. */
  async listContainers(): Promise<readonly unknown[]> {
    const ids = await this.api.containerIds()
    const containers = await mapBounded(ids, INSPECTIONS_AT_ONCE, (id) => this.api.container(id))
    return containers.filter((container) => container !== undefined)
  }

  async readNetwork(
    id: string,
  ): Promise<{ readonly network: Network | undefined; readonly problems: readonly string[] }> {
    return this.cache.putNetwork(id, await this.api.network(id))
  }

  async readContainer(id: string): Promise<readonly string[]> {
    const { count } = this.#renames
    return this.#put(id, await this.api.container(id), count)
  }

  async readContainers(ids: ReadonlySet<string>): Promise<readonly string[]> {
    const problems = await mapBounded([...ids], INSPECTIONS_AT_ONCE, (id) => this.readContainer(id))
    return problems.flat()
  }

  /** Of a container that was inspected meanwhile the list tells nothing new. */
  async readListed(id: string): Promise<readonly string[]> {
    const { count } = this.#renames
    const listed = await this.api.containerInList(id)
    return this.cache.container(id) ? [] : this.#put(id, listed, count)
  }

  /** The container's place on this network, and the container itself from the list where it is not known yet. */
  async readPlace(id: string, network: string): Promise<readonly string[]> {
    const { count } = this.#renames
    const [place, listed] = await Promise.all([
      this.api.network(network),
      this.cache.container(id) ? undefined : this.api.containerInList(id),
    ])
    const problems = this.cache.container(id) ? [] : this.#put(id, listed, count)
    this.cache.putAttachment(id, place)
    return problems
  }

  /** What the engine tells elsewhere than in the container: its way out of overlay networks, and the labels of its image. */
  async readRest(): Promise<readonly string[]> {
    if (this.cache.lacksGateways) {
      const gateway = await this.api.network(GATEWAY_NETWORK)
      // No event tells of this network's attachments, so the network is taken from the same answer.
      this.cache.putNetwork(GATEWAY_NETWORK, gateway)
      this.cache.putGateways(gateway)
    }
    const unseen = new Set(this.cache.unseenImages())
    for (const id of this.#unreadableImages) if (!unseen.delete(id)) this.#unreadableImages.delete(id)
    const problems = await mapBounded([...unseen], INSPECTIONS_AT_ONCE, (id) => this.#readImage(id))
    return problems.flat()
  }

  /** Returns whether the container was known by another name. */
  rename(id: string, name: string): boolean {
    this.#renames.add(id, name)
    return this.cache.rename(id, name)
  }

  forgetName(id: string): void {
    this.#renames.forget(id)
  }

  /** @param count how many renames there were when the engine was asked */
  #put(id: string, json: unknown, count: number): readonly string[] {
    const problems = this.cache.putContainer(id, json)
    const name = this.#renames.nameSince(id, count)
    if (name !== undefined) this.cache.rename(id, name)
    return problems
  }

  /** An image may have more labels than are read. None of them counts for its containers then, and the others go on. */
  async #readImage(id: string): Promise<readonly string[]> {
    try {
      this.cache.putImage(id, await this.api.image(id))
      return []
    } catch (error) {
      if (!(error instanceof DockerError && error.isTooLong)) throw error
      this.#unreadableImages.add(id)
      return [`the image ${id.slice(0, 19)} cannot be read: ${error.message}`]
    }
  }
}
