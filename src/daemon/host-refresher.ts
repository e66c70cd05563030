import type { Config } from '../config/model.ts'
import * as saved from '../state/formats.ts'
import type { HostView } from '../host/host-view.ts'
import { MOST_CLASSES, type ClassNumbers } from '../policy/class-numbers.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { Trigger } from '../reconcile/loop.ts'
import { oneAtATime } from '../system/one-at-a-time.ts'
import type { Health } from './health.ts'
import type { Store } from './store.ts'

export interface HostRefresherOptions {
  /** The numbers that an earlier process gave to classes of rights. */
  readonly classNumbers: ClassNumbers
  readonly host: HostView
  readonly health: Health
  readonly store: Store
  readonly request: (trigger: Trigger) => void
  /** What the pass waits for from now on. */
  readonly onStep: (step: string) => void
}

/** `hostFacts`: the engine's lists or the config changed; `ports`: ports of containers; `interfaces`: those of the host. */
export type StalePart = 'hostFacts' | 'ports' | 'interfaces'

/** Reads again what may have changed on the host, at the beginning of a pass, and no more than that. */
export class HostRefresher {
  readonly classNumbers: ClassNumbers
  readonly #options: HostRefresherOptions
  #config: Config | undefined
  #keptClasses: string | undefined
  #canBind = true
  #stale: Record<StalePart, boolean> = { hostFacts: true, ports: false, interfaces: false }

  constructor(options: HostRefresherOptions) {
    this.#options = options
    this.classNumbers = options.classNumbers
  }

  markStale(news: StalePart): void {
    this.#stale[news] = true
  }

  /** Where containers cannot be bound to their ports, the rights of a whole network apply, from the next pass on. */
  setCanBind(canBind: boolean): void {
    if (canBind === this.#canBind) return
    this.#canBind = canBind
    this.markStale('hostFacts')
    this.#options.request('link')
  }

  hostFacts(config: Config): ReturnType<HostView['hostFacts']> {
    return this.#options.host.hostFacts(config, this.classNumbers, this.#canBind)
  }

  /** @throws when the host could not be read: the next pass looks again. */
  async refresh(desired: Desired, triggers: ReadonlySet<Trigger>): Promise<void> {
    const { host, request } = this.#options
    const { config } = desired
    const news = this.#stale.hostFacts || triggers.has('docker')
    const all = triggers.has('start') || triggers.has('reload')
    // In between the kernel reports every change of them.
    const interfaces = this.#stale.interfaces || all
    if (!news && !interfaces && !this.#stale.ports) return
    this.#stale = { hostFacts: false, ports: false, interfaces: false }
    this.#options.onStep('the interfaces and name servers of this host')
    try {
      await Promise.all([
        interfaces ? host.links.read() : undefined,
        all ? host.engineConfig.read(config, true) : undefined,
      ])
    } catch (error) {
      this.#stale = { hostFacts: true, ports: true, interfaces: true }
      throw error
    }
    if (all) this.#tellResolvers()
    this.#config = config
    if (news && !all) void this.#reconsiderResolvers()
    this.#options.onStep('the containers of this host')
    const hostFacts = await this.hostFacts(config)
    const { before } = desired
    desired.setHostFacts(
      before ? { ...hostFacts, before: host.before(before.config, config, hostFacts.rights) } : hostFacts,
    )
    // Without any container that has rights of its own, the numbers wait for the policies to come back.
    if (desired.hostFacts.rights && this.classNumbers.areLeaving) {
      this.markStale('hostFacts')
      request('link')
    }
    // The kernel's report of a port is late or lost: it discards what is not read in time.
    if (news && !interfaces && host.ports.lacksSome) {
      this.markStale('interfaces')
      request('link')
    }
    this.#tellPorts()
    this.#tellClasses(desired)
    await this.#keepClassNumbers()
  }

  #tellResolvers(): void {
    const { health, host } = this.#options
    const problems = host.engineConfig.resolverProblems
    if (problems.length === 0) health.set('resolvers', undefined)
    else health.set('resolvers', `containers may be kept from their resolvers: ${problems.join('; ')}`)
    if (host.engineConfig.switchProblem === undefined) health.set('engine-config', undefined)
    else
      health.set(
        'engine-config',
        `whether the rules of the engine are all there is not looked at, since what it was told is not known: ${host.engineConfig.switchProblem}`,
      )
  }

  #tellPorts(): void {
    const { health, host } = this.#options
    if (host.ports.problem === undefined) health.set('ports', undefined)
    else
      health.set(
        'ports',
        `containers cannot be told apart, and those whose port is not known are treated as unknown: ${host.ports.problem}`,
      )
  }

  #tellClasses({ hostFacts }: Desired): void {
    const { health } = this.#options
    const without = (hostFacts.rights?.members ?? []).filter((member) => member.class === undefined)
    const [first] = without
    if (!first) health.set('classes', undefined)
    else
      health.set(
        'classes',
        `${without.length} places of containers have no rights, since no more than ${MOST_CLASSES} different ones can be told apart: ${first.container.name} on ${first.network} among them`,
      )
  }

  /** Runs beside the passes, for which starting containers wait: it looks through all processes and containers, and mostly finds nothing new. */
  readonly #reconsiderResolvers = oneAtATime(async () => {
    if (!this.#config) return
    const areOthers = await this.#options.host.engineConfig.read(this.#config, false)
    this.#tellResolvers()
    if (!areOthers) return
    this.markStale('hostFacts')
    this.#options.request('docker')
  })

  /**
   * Saves the numbers before connections in the kernel bear them, since a later process must not give one of them to another class. If they cannot be written,
   * the older ones are removed: a process that knows no numbers judges every connection again.
   */
  async #keepClassNumbers(): Promise<void> {
    const numbers = this.classNumbers.snapshot()
    const text = JSON.stringify(numbers)
    if (text === this.#keptClasses) return
    this.#options.onStep('the disk that holds the state')
    await this.#options.store.replace('classes', numbers, saved.savedClasses)
    this.#keptClasses = text
  }
}
