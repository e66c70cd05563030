import { setTimeout as sleep } from 'node:timers/promises'
import { DockerError, type DockerApi } from './api.ts'
import { parseEngine } from '../engine.ts'
import type { DockerEvent } from './event-lines.ts'
import { EventLines } from './event-lines.ts'
import { GATEWAY_NETWORK, InventoryCache } from './inventory-cache.ts'
import { parseNetwork } from '../inventory.ts'
import { listOf } from '../json.ts'
import { mapBounded } from './map-bounded.ts'
import type { Engine, Inventory, Network } from '../model.ts'
import { Paced } from './paced.ts'

/** What is told while the engine is watched. Called synchronously: record and request, do not work here. */
export interface SessionListener {
  /**
   * Everything there is: after each listing, and whenever events changed something of it.
   * @param listedAtMs when the latest full listing began, epoch milliseconds: what came into being before and is not in it is not the engine's
   */
  onInventory(inventory: Inventory, engine: Engine, listedAtMs: number): void
  /**
   * A network that was not known before, as soon as it is: ahead of the inventory that holds it. Never before the session's first inventory:
   * whoever took a few networks for all of them would open the bridges of the others.
   */
  onNetwork(network: Network): void
  onEvent(type: string, action: string): void
  /** Something of the engine's that was not understood, in a sentence. */
  onProblem(sentence: string): void
}

export interface SessionTiming {
  /** Pause after a look at the engine, in which events gather. */
  readonly coalesceMs: number
  /** Everything is listed again after this long, whatever the events said: the engine drops events for slow listeners. */
  readonly relistMs: number
  readonly nowMs: () => number
}

/** What has to be asked again. */
interface Work {
  everything: boolean
  readonly networks: Set<string>
  readonly containers: Set<string>
}

const NO_WORK = (): Work => ({ everything: false, networks: new Set(), containers: new Set() })

/** One connection to the engine, from the first listing until the event stream or a question fails. Used once. */
export class DockerSession {
  readonly #api: DockerApi
  readonly #listener: SessionListener
  readonly #timing: SessionTiming
  readonly #over = new AbortController()
  readonly #cache = new InventoryCache()
  readonly #looksAtAll = new Paced(() => this.relist(), UNREADABLE_PAUSE_MS)
  #engine: Engine | undefined
  #work = NO_WORK()
  #working = false
  /** While everything is being listed: what was learned of otherwise since it began, for the list may be older. */
  #newer: Set<string> | undefined
  #changed = false
  #published = false
  #listedAtMs = 0
  /** Events so far. */
  #noted = 0
  /** Containers that are being looked at out of turn, and whether something happened to them meanwhile. */
  readonly #looks = new Map<string, { isOld: boolean }>()
  /** New names of containers, with the number of the event that told. */
  readonly #renamed = new Map<string, { readonly name: string; readonly noted: number }>()
  #failure: unknown

  constructor(api: DockerApi, listener: SessionListener, timing: SessionTiming) {
    this.#api = api
    this.#listener = listener
    this.#timing = timing
  }

  /**
   * Watches until `signal` is aborted (then it resolves) or the connection is lost (then it rejects with why).
   * @param sinceSeconds events from this moment on, so that none falls between this session and what came before
   * @param onListed called once, after the first inventory
   */
  async run(sinceSeconds: number, signal: AbortSignal, onListed: () => void): Promise<void> {
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
      // Not awaited: the headers may be held back until something happens.
      void this.#listen(sinceSeconds)
      this.#request((work) => (work.everything = true), onListed)
      await over
      if (this.#failure !== undefined && !signal.aborted) throw this.#failure
    } finally {
      clearInterval(relist)
      this.#looksAtAll.stop()
      signal.removeEventListener('abort', stop)
      this.#api.close()
    }
  }

  /** Asks for a full listing now, or as soon as the one under way is done. */
  relist(): void {
    this.#request((work) => (work.everything = true))
  }

  /** A port of the network was connected: engines since 28 tell of it when the container all but runs, yet they list it at once. */
  async lookAtPorts(network: string): Promise<void> {
    const noted = this.#noted
    try {
      const places = await this.#api.network(network)
      // Whatever happened meanwhile may be later than the answer.
      if (noted !== this.#noted || this.#over.signal.aborted || !this.#published) return
      const found = this.#cache.putAttachments(network, places)
      if (found.length === 0) return
      for (const id of found) this.#isNewerThanList(id, 'containers')
      this.#changed = true
      this.#publish()
    } catch (error) {
      this.#fail(error)
    }
  }

  async #listen(sinceSeconds: number): Promise<void> {
    try {
      const stream = await this.#api.events(sinceSeconds, this.#over.signal)
      const lines = new EventLines()
      const ended = () => this.#fail(new Error('the event stream of the engine ended'))
      // Losing dockerd gives aborted, error and close, in no reliable order and never end; an error nobody hears ends the process.
      stream.on('error', (cause) => this.#fail(new Error('the event stream of the engine broke', { cause })))
      for (const ending of ['aborted', 'end', 'close']) stream.on(ending, ended)
      stream.on('data', (chunk: Buffer) => this.#guarded(() => this.#hear(lines, chunk)))
      if (this.#over.signal.aborted) stream.destroy()
    } catch (cause) {
      this.#fail(new Error('opening the event stream of the engine', { cause }))
    }
  }

  #hear(lines: EventLines, chunk: Buffer): void {
    const malformed = lines.malformed
    for (const event of lines.push(chunk)) {
      this.#listener.onEvent(event.type, event.action)
      this.#note(event)
    }
    if (lines.malformed === malformed) return
    this.#listener.onProblem('the engine sent an event that cannot be read: everything is listed again')
    this.#looksAtAll.request()
  }

  #note({ type, action, id, container, name }: DockerEvent): void {
    this.#noted += 1
    if (type === 'container' && action === 'rename' && name !== undefined) this.#rename(id, name)
    if (type === 'container' && action === 'destroy') this.#renamed.delete(id)
    const look = this.#looks.get(type === 'network' ? (container ?? '') : id)
    if (look) look.isOld = true
    if (type === 'network' && action === 'create' && id !== '') void this.#lookAtNewNetwork(id)
    else if (type === 'container' && action === 'create' && id !== '') void this.#lookAtCreated(id)
    else if (type === 'container' && action === 'start' && id !== '') void this.#lookAtStarted(id)
    else if (type === 'network' && action === 'connect' && container)
      void this.#lookAtConnected(container, id)
    else if (type === 'network' && action === 'disconnect' && container) {
      this.#request((work) => work.containers.add(container))
    } else if (action === 'prune' || action === 'reload' || id === '') {
      this.#request((work) => (work.everything = true))
    } else if (type === 'network') this.#request((work) => work.networks.add(id))
    else if (type === 'container') this.#request((work) => work.containers.add(id))
  }

  /** Mostly it is started in a moment, under rights that go by its name; an inspection would wait for that start. */
  #rename(id: string, name: string): void {
    this.#renamed.set(id, { name, noted: this.#noted })
    if (!this.#cache.rename(id, name)) return
    this.#isNewerThanList(id, 'containers')
    this.#changed = true
    if (this.#published) this.#publish()
  }

  /** @param asked how many events were noted when the engine was asked: a name that was told since is newer */
  #put(id: string, json: unknown, asked: number): readonly string[] {
    const problems = this.#cache.putContainer(id, json)
    const renamed = this.#renamed.get(id)
    if (renamed && renamed.noted > asked) this.#cache.rename(id, renamed.name)
    return problems
  }

  /** The one thing that cannot wait its turn: a container may start on the network in a moment. */
  async #lookAtNewNetwork(id: string): Promise<void> {
    try {
      const { network, problems } = this.#cache.putNetwork(id, await this.#api.network(id))
      if (this.#over.signal.aborted) return
      for (const problem of problems) this.#listener.onProblem(problem)
      if (network && this.#published) this.#listener.onNetwork(network)
      this.#changed = true
      this.#isNewerThanList(id, 'networks')
      this.#request(() => undefined)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Mostly it is being started by now, and an inspection would wait for that. */
  #lookAtCreated(id: string): Promise<void> {
    return this.#lookAhead(id, async () => {
      const asked = this.#noted
      const listed = await this.#api.containerInList(id)
      // An inspection that came first knows more.
      return this.#cache.container(id) ? [] : this.#put(id, listed, asked)
    })
  }

  /** It sends already, and has the rights of an unknown one until somebody says whose process it is. */
  #lookAtStarted(id: string): Promise<void> {
    return this.#lookAhead(id, async () => {
      const asked = this.#noted
      return this.#put(id, await this.#api.container(id), asked)
    })
  }

  /** Its process does not run yet, mostly; the network tells at once where its place is. */
  #lookAtConnected(id: string, network: string): Promise<void> {
    return this.#lookAhead(id, async () => {
      const asked = this.#noted
      const [place, listed] = await Promise.all([
        this.#api.network(network),
        this.#cache.container(id) ? undefined : this.#api.containerInList(id),
      ])
      const problems = this.#cache.container(id) ? [] : this.#put(id, listed, asked)
      this.#cache.putAttachment(id, place)
      // Nothing follows that would bring the rest.
      if (this.#cache.container(id)?.running) this.#request((work) => work.containers.add(id))
      return problems
    })
  }

  /** Out of turn: what is learned of the container is told at once. `learn` returns problems. */
  async #lookAhead(id: string, learn: () => Promise<readonly string[]>): Promise<void> {
    const look = { isOld: false }
    this.#looks.set(id, look)
    try {
      const problems = await learn()
      await this.#learnRest()
      if (this.#over.signal.aborted) return
      for (const problem of problems) this.#listener.onProblem(problem)
      this.#changed = true
      this.#isNewerThanList(id, 'containers')
      if (this.#published) this.#publish()
      // What was answered may be older than what another look has found.
      if (look.isOld || !this.#published) this.#request((work) => work.containers.add(id))
    } catch (error) {
      this.#fail(error)
    } finally {
      if (this.#looks.get(id) === look) this.#looks.delete(id)
    }
  }

  /** The first request after a quiet time is served at once, those that follow together after the pause. */
  #request(add: (work: Work) => unknown, onListed?: () => void): void {
    add(this.#work)
    if (!this.#working) void this.#serve(onListed)
  }

  async #serve(onListed: (() => void) | undefined): Promise<void> {
    this.#working = true
    try {
      while (this.#hasWork() && !this.#over.signal.aborted) {
        const work = this.#work
        this.#work = NO_WORK()
        await this.#perform(work)
        if (this.#over.signal.aborted) return
        this.#publish()
        onListed?.()
        onListed = undefined
        await sleep(this.#timing.coalesceMs, undefined, { signal: this.#over.signal })
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#working = false
    }
  }

  #hasWork(): boolean {
    return (
      this.#changed || this.#work.everything || this.#work.networks.size > 0 || this.#work.containers.size > 0
    )
  }

  async #perform(work: Work): Promise<void> {
    if (work.everything) await this.#listEverything()
    const problems: string[] = []
    for (const id of work.networks)
      problems.push(...this.#cache.putNetwork(id, await this.#api.network(id)).problems)
    await mapBounded([...work.containers], INSPECTIONS_AT_ONCE, async (id) => {
      const asked = this.#noted
      problems.push(...this.#put(id, await this.#api.container(id), asked))
    })
    await this.#learnRest()
    for (const problem of problems) this.#listener.onProblem(problem)
    this.#changed ||= work.networks.size > 0 || work.containers.size > 0
  }

  /** What the engine tells elsewhere than in the container itself. */
  async #learnRest(): Promise<void> {
    if (this.#cache.lacksGateways) {
      const gateway = await this.#api.network(GATEWAY_NETWORK)
      // No event has told of it.
      this.#cache.putNetwork(GATEWAY_NETWORK, gateway)
      this.#cache.putGateways(gateway)
    }
    await mapBounded(this.#cache.unseenImages(), INSPECTIONS_AT_ONCE, async (id) => {
      this.#cache.putImage(id, await this.#imageOf(id))
    })
  }

  /** Undefined also for one that says more than is read: no label of its containers counts then, and other containers go on. */
  async #imageOf(id: string): Promise<unknown> {
    try {
      return await this.#api.image(id)
    } catch (error) {
      if (!(error instanceof DockerError && error.isTooLong)) throw error
      this.#listener.onProblem(`the image ${id.slice(0, 19)} cannot be read: ${error.message}`)
      return undefined
    }
  }

  /** What is known of it stays when the list that is being made comes, and is asked for once more. */
  #isNewerThanList(id: string, kind: 'networks' | 'containers'): void {
    if (!this.#newer) return
    this.#newer.add(id)
    this.#work[kind].add(id)
  }

  async #listEverything(): Promise<void> {
    this.#newer = new Set()
    const beganAtMs = this.#timing.nowMs()
    try {
      const [info, version, networks] = await Promise.all([
        this.#api.info(),
        this.#api.version(),
        this.#api.networks(),
      ])
      if (!Array.isArray(networks)) throw new Error('listing networks: no list')
      this.#engine = parseEngine({ info, version })
      const known = new Set(this.#cache.snapshot().networks.map((network) => network.id))
      for (const { value: network } of listOf(networks).map(parseNetwork)) {
        // Left out of the list, its bridge would be taken for somebody else's and opened.
        if (!network) throw new Error('listing networks: one of them has no id or no name')
        if (this.#published && !known.has(network.id)) this.#listener.onNetwork(network)
      }
      const inspected = await mapBounded(await this.#api.containerIds(), INSPECTIONS_AT_ONCE, (id) =>
        this.#api.container(id),
      )
      const containers = inspected.filter((container) => container !== undefined)
      for (const problem of this.#cache.replaceAll({ networks, containers }, this.#newer))
        this.#listener.onProblem(problem)
      this.#listedAtMs = beganAtMs
      this.#changed = true
    } finally {
      this.#newer = undefined
    }
  }

  #publish(): void {
    if (!this.#changed || !this.#engine) return
    this.#changed = false
    this.#published = true
    this.#listener.onInventory(this.#cache.snapshot(), this.#engine, this.#listedAtMs)
  }

  /** For what is called by an emitter: a throw there would end the process. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#over.abort()
  }
}

const INSPECTIONS_AT_ONCE = 8
/** What an event that cannot be read would have told is found by a listing, of which a flood of such events causes no more than this. */
const UNREADABLE_PAUSE_MS = 1_000
