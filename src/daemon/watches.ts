import type { Logger } from '../observe/logger.ts'
import { watchRules } from '../nftables/monitor.ts'
import type { Trigger } from '../reconcile/loop.ts'
import type { Part } from '../reconcile/reconciler.ts'
import type { LineProcess } from '../system/line-process.ts'
import { connectDocker } from '../workloads/docker-api.ts'
import { DockerWatcher, type DockerState } from '../workloads/docker-watcher.ts'
import { watchLinks } from '../workloads/link-watcher.ts'
import { isContainersEnd } from '../workloads/unprotected.ts'
import type { HostView } from '../host/host-view.ts'

/** The first pass waits this long for the engine, so that a restart does not close networks that it is about to learn of. */
const ENGINE_WAIT_MS = 2_000

const LATE_NEWS_MS = 2_000

export interface WatchesOptions {
  readonly host: HostView
  readonly log: Logger
  readonly request: (trigger: Trigger) => void
  readonly onDockerState: (state: DockerState) => void
  readonly onDockerEvent: (type: string, action: string) => void
  /** The kernel told of a change in this part of the rules; undefined: it may have, anywhere. */
  readonly onDrift: (part: Part | undefined) => void
  /** What is known of the engine or of the interfaces is no longer what the last pass saw. */
  readonly onStale: (what: 'surroundings' | 'interfaces') => void
}

/** Everything that tells when the world changed: the engine, the interfaces, the kernel's rules. It records and requests, and applies nothing. */
export class Watches {
  readonly #options: WatchesOptions
  readonly #kernel: readonly LineProcess[]
  #engine: DockerWatcher | undefined
  #listingTimer: NodeJS.Timeout | undefined
  #heard: (() => void) | undefined
  /** Bridges that get and lose a port of ours. */
  readonly #expected = new Map<string, number>()

  constructor(options: WatchesOptions) {
    this.#options = options
    this.#kernel = [this.#links(), this.#rules()]
  }

  /** Resolves when the engine was listed, or found absent, or is too slow to wait for. */
  async watchEngine(socket: string): Promise<void> {
    await this.#engine?.stop()
    const heard = new Promise<void>((resolve) => {
      this.#heard = resolve
      setTimeout(resolve, ENGINE_WAIT_MS).unref()
    })
    this.#engine = this.#docker(socket)
    this.#engine.start()
    await heard
  }

  watchKernel(): void {
    for (const watch of this.#kernel) watch.start()
  }

  /**
   * Ports of ours come to these bridges, which makes them change their state: that is no news. Call what is returned when the ports are
   * gone; the kernel tells of the change up to a second later.
   */
  expectPorts(bridges: readonly string[]): () => void {
    const count = (by: number): void => {
      for (const bridge of bridges) this.#expected.set(bridge, (this.#expected.get(bridge) ?? 0) + by)
    }
    count(1)
    return () => void setTimeout(() => count(-1), LATE_NEWS_MS).unref()
  }

  async stop(): Promise<void> {
    clearTimeout(this.#listingTimer)
    await this.#engine?.stop()
    for (const watch of this.#kernel) await watch.stop()
  }

  #docker(socket: string): DockerWatcher {
    const { host, log, request, onStale, onDockerState, onDockerEvent } = this.#options
    return new DockerWatcher({
      connect: () => connectDocker(socket),
      listener: {
        onInventory: (inventory, engine, listedAtMs) => {
          host.setInventory(inventory, engine, listedAtMs)
          this.#armListing()
          onStale('surroundings')
          this.#heard?.()
          request('docker')
        },
        onNetwork: (network) => {
          host.addNetwork(network)
          onStale('surroundings')
          request('docker')
        },
        onEvent: onDockerEvent,
        onProblem: (sentence) => log.warn({ problem: sentence }, 'the engine said something odd'),
        onState: (state) => {
          onDockerState(state)
          if (!state.connected) this.#heard?.()
        },
      },
    })
  }

  #links(): LineProcess {
    const { host, log, request, onStale } = this.#options
    return watchLinks({
      onLink: (change) => {
        onStale('interfaces')
        // The engine tells of its containers, though not when one has its port; anything else may have become a port of a guarded bridge.
        if (isContainersEnd(change)) {
          if (change.isConnected && host.tellsApart) {
            const network = host.inventory?.networks.find(({ bridge }) => bridge === change.master)
            if (network) this.#engine?.lookAtPorts(network.id)
            request('link')
          }
          return
        }
        if (change.kind === 'bridge') {
          if (change.deleted) host.bridgeVanished(change.name)
          else host.bridgeSeen(change.name, Date.now())
          this.#armListing()
        }
        // The next pass looks, but none is made for a port of ours.
        const isOurs = change.kind === 'bridge' && (this.#expected.get(change.name) ?? 0) > 0
        if (!isOurs || change.deleted) request('link')
      },
      onStart: () => {
        onStale('interfaces')
        request('link')
      },
      onEnd: (error) => log.debug({ err: error }, 'watching interfaces ended and begins again'),
    })
  }

  #rules(): LineProcess {
    const { log, onDrift } = this.#options
    return watchRules({
      onChange: onDrift,
      onStart: () => onDrift(undefined),
      onEnd: (error) => log.debug({ err: error }, 'watching rules ended and begins again'),
    })
  }

  /** A new bridge that the engine does not list is opened only by a listing that begins after it had its time. */
  #armListing(): void {
    clearTimeout(this.#listingTimer)
    const atMs = this.#options.host.nextListingAtMs()
    if (atMs === undefined) return
    this.#listingTimer = setTimeout(() => this.#engine?.relist(), Math.max(0, atMs - Date.now()) + 10)
  }
}
