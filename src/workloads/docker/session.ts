import { setTimeout as sleep } from 'node:timers/promises'
import type { DockerApi } from './api.ts'
import type { DockerEvent } from './event-lines.ts'
import { followEvents } from './event-stream.ts'
import { stepsFor, subjectsOf, type EventStep } from './events.ts'
import { Inspector } from './inspector.ts'
import { InventoryCache } from './inventory-cache.ts'
import { Paced } from './paced.ts'
import { InventoryPublisher } from './publisher.ts'
import { ReadQueue } from './read-queue.ts'
import type { SessionUpdate } from './updates.ts'

export interface SessionTiming {
  /** Pause after the queue was read, in which events gather. */
  readonly coalesceMs: number
  /** Everything is listed again after this long, whatever the events said: the engine drops events for slow listeners. */
  readonly relistMs: number
  readonly nowMs: () => number
}

/**
 * One connection to the engine, from the first listing until the event stream or a question fails. Used once.
 *
 * stream → events → {@link stepsFor} → a reading now, or the queue → {@link Inspector} → cache → inventory
 */
export class DockerSession {
  readonly #api: DockerApi
  readonly #onUpdate: (update: SessionUpdate) => void
  readonly #timing: SessionTiming
  readonly #over = new AbortController()
  readonly #cache = new InventoryCache()
  readonly #inspector: Inspector
  readonly #publisher: InventoryPublisher
  readonly #queue = new ReadQueue()
  readonly #relistings = new Paced(() => this.relist(), UNREADABLE_PAUSE_MS)
  #isReadingQueue = false
  /** While everything is being listed: what was read otherwise since the listing began. The list may be older. */
  #newerThanList: Set<string> | undefined
  #eventCount = 0
  /** Containers that are being read ahead of the queue. An event meanwhile makes the answer outdated. */
  readonly #readingsNow = new Map<string, { isOutdated: boolean }>()
  #failure: unknown

  constructor(api: DockerApi, onUpdate: (update: SessionUpdate) => void, timing: SessionTiming) {
    this.#api = api
    this.#onUpdate = onUpdate
    this.#timing = timing
    this.#inspector = new Inspector(api, this.#cache)
    this.#publisher = new InventoryPublisher(this.#cache, onUpdate)
  }

  /**
   * Watches until `signal` is aborted (then it resolves) or the connection is lost (then it rejects with why).
   * @param sinceSeconds events from this moment on, so that none falls between this session and what came before
   */
  async run(sinceSeconds: number, signal: AbortSignal): Promise<void> {
    const stop = () => this.#over.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const over = new Promise<void>((resolve) => {
      if (this.#over.signal.aborted) resolve()
      else this.#over.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    const relist = setInterval(() => this.relist(), this.#timing.relistMs)
    relist.unref()
    try {
      // Not awaited: some engines hold the headers of the answer back until something happens.
      followEvents(this.#api, sinceSeconds, this.#over.signal, (events, hasUnreadable) => {
        for (const event of events) this.#handle(event)
        if (hasUnreadable) this.#relistAfterUnreadable()
      }).catch((error: unknown) => this.#fail(error))
      this.relist()
      await over
      if (this.#failure !== undefined && !signal.aborted) throw this.#failure
    } finally {
      clearInterval(relist)
      this.#relistings.stop()
      signal.removeEventListener('abort', stop)
      this.#api.close()
    }
  }

  /** Asks for a full listing now, or as soon as the one under way is done. */
  relist(): void {
    this.#queue.addEverything()
    this.#readQueue()
  }

  /** To be called when a port of the network was connected: engines since 28 send the event when the container all but runs, yet they list its place at once. */
  async lookAtPorts(network: string): Promise<void> {
    const eventCount = this.#eventCount
    try {
      const places = await this.#api.network(network)
      // What an event told meanwhile may be newer than the answer.
      if (eventCount !== this.#eventCount || this.#over.signal.aborted || !this.#publisher.hasPublished)
        return
      const found = this.#cache.putAttachments(network, places)
      if (found.length === 0) return
      for (const id of found) this.#keepFromList('containers', id)
      this.#publisher.markChanged()
      this.#publisher.publish()
    } catch (error) {
      this.#fail(error)
    }
  }

  #handle(event: DockerEvent): void {
    if (this.#over.signal.aborted) return
    this.#onUpdate({ kind: 'event', type: event.type, action: event.action })
    this.#eventCount += 1
    const { network, container } = subjectsOf(event)
    const reading = this.#readingsNow.get(container)
    if (reading) reading.isOutdated = true
    for (const step of stepsFor(event)) this.#take(step, network, container, event.name ?? '')
  }

  #take(step: EventStep, network: string, container: string, name: string): void {
    switch (step) {
      case 'readNetworkNow':
        return void this.#readNetworkNow(network)
      case 'readListedNow':
        return void this.#readNow(container, () => this.#inspector.readListed(container))
      case 'readContainerNow':
        return void this.#readNow(container, () => this.#inspector.readContainer(container))
      case 'readPlaceNow':
        return void this.#readNow(container, () => this.#readPlace(container, network))
      case 'rename':
        return this.#rename(container, name)
      case 'forgetName':
        return this.#inspector.forgetName(container)
      case 'queueNetwork':
        this.#queue.add('networks', network)
        return this.#readQueue()
      case 'queueContainer':
        this.#queue.add('containers', container)
        return this.#readQueue()
      case 'queueEverything':
        return this.relist()
      default:
        step satisfies never
    }
  }

  #relistAfterUnreadable(): void {
    this.#report(['the engine sent an event that cannot be read: everything is listed again'])
    this.#relistings.request()
  }

  #rename(id: string, name: string): void {
    if (!this.#inspector.rename(id, name)) return
    this.#keepFromList('containers', id)
    this.#publisher.markChanged()
    if (this.#publisher.hasPublished) this.#publisher.publish()
  }

  async #readNetworkNow(id: string): Promise<void> {
    try {
      const { network, problems } = await this.#inspector.readNetwork(id)
      if (this.#over.signal.aborted) return
      this.#report(problems)
      if (network) this.#publisher.publishNetwork(network)
      this.#publisher.markChanged()
      this.#keepFromList('networks', id)
      this.#readQueue()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #readPlace(id: string, network: string): Promise<readonly string[]> {
    const problems = await this.#inspector.readPlace(id, network)
    // No start follows that would have the rest read.
    if (this.#cache.container(id)?.running) {
      this.#queue.add('containers', id)
      this.#readQueue()
    }
    return problems
  }

  /** Reads a container ahead of the queue and publishes at once what was found. */
  async #readNow(id: string, read: () => Promise<readonly string[]>): Promise<void> {
    const reading = { isOutdated: false }
    this.#readingsNow.set(id, reading)
    try {
      const problems = [...(await read()), ...(await this.#inspector.readRest())]
      if (this.#over.signal.aborted) return
      this.#report(problems)
      this.#publisher.markChanged()
      this.#keepFromList('containers', id)
      if (this.#publisher.hasPublished) this.#publisher.publish()
      // The answer may be older than what another reading has found.
      if (reading.isOutdated || !this.#publisher.hasPublished) {
        this.#queue.add('containers', id)
        this.#readQueue()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      if (this.#readingsNow.get(id) === reading) this.#readingsNow.delete(id)
    }
  }

  /** Begins to read what is queued, unless that is under way. After a quiet time the first of it is read at once, and what follows together after the pause. */
  #readQueue(): void {
    if (!this.#isReadingQueue) void this.#readUntilEmpty()
  }

  async #readUntilEmpty(): Promise<void> {
    const { signal } = this.#over
    this.#isReadingQueue = true
    try {
      while ((this.#publisher.hasChanged || !this.#queue.isEmpty) && !signal.aborted) {
        const { everything, networks, containers } = this.#queue.take()
        if (everything) await this.#listEverything()
        const problems: string[] = []
        for (const id of networks) problems.push(...(await this.#inspector.readNetwork(id)).problems)
        problems.push(...(await this.#inspector.readContainers(containers)))
        problems.push(...(await this.#inspector.readRest()))
        this.#report(problems)
        if (networks.size > 0 || containers.size > 0) this.#publisher.markChanged()
        if (signal.aborted) return
        this.#publisher.publish()
        await sleep(this.#timing.coalesceMs, undefined, { signal })
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#isReadingQueue = false
    }
  }

  async #listEverything(): Promise<void> {
    this.#newerThanList = new Set()
    const beganAtMs = this.#timing.nowMs()
    try {
      const { engine, networks, json } = await this.#inspector.listNetworks()
      const known = new Set(this.#cache.snapshot().networks.map(({ id }) => id))
      // Ahead of the containers, whose inspections take their time.
      for (const network of networks) if (!known.has(network.id)) this.#publisher.publishNetwork(network)
      const containers = await this.#inspector.listContainers()
      this.#report(this.#cache.replaceAll({ networks: json, containers }, this.#newerThanList))
      this.#publisher.setListed(engine, beganAtMs)
    } finally {
      this.#newerThanList = undefined
    }
  }

  /** Keeps what is known of it when the listing comes that is under way, and has it read once more afterwards. */
  #keepFromList(kind: 'networks' | 'containers', id: string): void {
    if (!this.#newerThanList) return
    this.#newerThanList.add(id)
    this.#queue.add(kind, id)
  }

  #report(problems: readonly string[]): void {
    for (const sentence of problems) this.#onUpdate({ kind: 'problem', sentence })
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#over.abort()
  }
}

/** A listing finds what an unreadable event would have told. A flood of such events causes one listing in this time. */
const UNREADABLE_PAUSE_MS = 1_000
