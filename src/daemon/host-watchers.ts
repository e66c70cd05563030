import type { Logger } from '../observe/logger.ts'
import type { Trigger } from '../reconcile/loop.ts'
import type { Part } from '../targets/keeper.ts'
import type { LineProcess } from '../system/line-process.ts'
import type { DockerState, DockerUpdate } from '../workloads/docker/updates.ts'
import { DockerWatcher } from '../workloads/docker/watcher.ts'
import { isContainersEnd } from '../workloads/container-end.ts'
import type { HostAccess } from './host-access.ts'
import type { StalePart } from './host-refresher.ts'
import { RestartWatch } from './restart-watch.ts'
import { errorChain } from '../system/errors.ts'

/** The first pass waits this long for the engine, so that a restart does not close networks that the engine is about to list. */
const ENGINE_WAIT_MS = 2_000

export interface HostWatchersOptions {
  readonly access: Pick<HostAccess, 'view' | 'connectDocker' | 'watchLinks' | 'watchRules'>
  readonly log: Logger
  readonly request: (trigger: Trigger) => void
  readonly onDockerState: (state: DockerState) => void
  readonly onDockerEvent: (type: string, action: string) => void
  /** The kernel reported a change in this part of the rules; undefined: reports may have been lost, so any part may have changed. */
  readonly onDrift: (part: Part | undefined) => void
  /** A part of what is known of the host is no longer what the last pass saw. */
  readonly onStale: (news: StalePart) => void
  /** Why the kernel's reports cannot be watched; undefined: they are watched. */
  readonly onUnsteady: (what: 'interfaces' | 'rules', why: string | undefined) => void
}

/** Watches the engine, the interfaces and the kernel's rules. It records what changed and requests passes, and applies nothing itself. */
export class HostWatchers {
  readonly #options: HostWatchersOptions
  readonly #kernel: readonly LineProcess[]
  readonly #unsteady: Readonly<Record<'interfaces' | 'rules', RestartWatch>>
  #engine: DockerWatcher | undefined
  #listingTimer: NodeJS.Timeout | undefined
  #heard: (() => void) | undefined

  constructor(options: HostWatchersOptions) {
    this.#options = options
    this.#unsteady = {
      interfaces: new RestartWatch((why) => options.onUnsteady('interfaces', why)),
      rules: new RestartWatch((why) => options.onUnsteady('rules', why)),
    }
    this.#kernel = [this.#links(), this.#rules()]
  }

  /** Resolves when the engine was listed or found absent, or after {@link ENGINE_WAIT_MS}. */
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

  async stop(): Promise<void> {
    clearTimeout(this.#listingTimer)
    await this.#engine?.stop()
    for (const watch of this.#kernel) await watch.stop()
    for (const one of Object.values(this.#unsteady)) one.stop()
  }

  #docker(socket: string): DockerWatcher {
    return new DockerWatcher({
      connect: () => this.#options.access.connectDocker(socket),
      onUpdate: (update) => this.#applyDocker(update),
    })
  }

  #applyDocker(update: DockerUpdate): void {
    const { access, log, request, onStale, onDockerState, onDockerEvent } = this.#options
    const { view: host } = access
    switch (update.kind) {
      case 'inventory':
        // With each listing the interfaces are read again, too.
        if (host.setInventory(update.inventory, update.engine, update.listedAtMs)) onStale('interfaces')
        this.#armListing()
        onStale('hostFacts')
        this.#heard?.()
        return request('docker')
      case 'network':
        host.docker.addNetwork(update.network)
        onStale('hostFacts')
        return request('docker')
      case 'event':
        return onDockerEvent(update.type, update.action)
      case 'problem':
        return log.warn({ problem: update.sentence }, 'the engine said something odd')
      case 'state':
        onDockerState(update.state)
        if (!update.state.connected) this.#heard?.()
        return
      default:
        update satisfies never
    }
  }

  #links(): LineProcess {
    const { access, log, request, onStale } = this.#options
    const { view: host } = access
    return access.watchLinks({
      onLink: (change) => {
        // The engine reports its containers, but not when one gets its port. Any other interface may have become a port of a guarded bridge.
        if (isContainersEnd(change)) {
          host.links.portChanged(change)
          onStale('ports')
          if (change.isConnected && host.tellsApart) {
            const network = host.inventory?.networks.find(({ bridge }) => bridge === change.master)
            if (network) this.#engine?.lookAtPorts(network.id)
            request('link')
          }
          return
        }
        if (change.kind === 'bridge') {
          if (change.deleted) host.links.bridgeVanished(change.name)
          else host.links.bridgeSeen(change.name, Date.now())
          this.#armListing()
        }
        if (host.links.knows(change)) return
        onStale('interfaces')
        request('link')
      },
      onAddress: (change) => {
        if (!host.links.addressChanged(change)) onStale('interfaces')
      },
      onStart: () => {
        onStale('interfaces')
        request('link')
      },
      onEnd: (error) => {
        log.debug({ err: error }, 'watching interfaces ended and begins again')
        this.#unsteady.interfaces.ended(errorChain(error), performance.now())
      },
    })
  }

  #rules(): LineProcess {
    const { access, log, onDrift } = this.#options
    return access.watchRules({
      onChange: onDrift,
      onStart: () => onDrift(undefined),
      onEnd: (error) => {
        log.debug({ err: error }, 'watching rules ended and begins again')
        this.#unsteady.rules.ended(errorChain(error), performance.now())
      },
    })
  }

  /** A new bridge counts as somebody else's only if a listing that begins some time after it does not have it. */
  #armListing(): void {
    clearTimeout(this.#listingTimer)
    const atMs = this.#options.access.view.links.nextListingAtMs()
    if (atMs === undefined) return
    this.#listingTimer = setTimeout(() => this.#engine?.relist(), Math.max(0, atMs - Date.now()) + 10)
  }
}
