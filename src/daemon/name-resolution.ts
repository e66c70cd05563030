import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/model.ts'
import type { Membership } from '../dataplane/membership.ts'
import { areSameServers, type NameServer } from '../dns/name-server.ts'
import { limitsOf } from '../state/open-address-store.ts'
import { savedAddresses } from '../state/formats.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import { parseAddress } from '../net/address.ts'
import { FAMILIES, type Address, type Family, type Hostname } from '../net/types.ts'
import type { Logger } from '../observe/logger.ts'
import type { Policies } from '../policy/model.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import { Refresher, type LookupReport, type RefresherSettings } from '../resolve/refresher.ts'
import { Resolver } from '../resolve/resolver.ts'
import type { SaveQueue } from '../state/save-queue.ts'
import type { OwnServers } from './own-servers.ts'
import type { Store } from './store.ts'

/** A new address is saved at once, so that a crash loses none; that a known one was seen again can wait. */
const SAVE_CHANGE_MS = 1_000
const SAVE_SIGHT_MS = 60_000
/** A few names are asked of other name servers within this; more take as long as the limit on questions makes them. */
const SWEEP_MS = 1_000

export interface NameResolutionOptions {
  readonly config: Config
  readonly policies: Policies
  readonly addressStore: AddressStore
  readonly servers: OwnServers
  readonly store: Store
  readonly log: Logger
  readonly isHostAddress: (address: Address) => boolean
  /** Gives the host its own order of sweeping. */
  readonly seed: string
  /** Some name holds other addresses than before. */
  readonly onChange: () => void
  readonly onLookup: (report: LookupReport) => void
}

/** The names of the config and their addresses: looked up, remembered, saved. */
export class NameResolution {
  private constructor(
    readonly addressStore: AddressStore,
    private readonly servers: OwnServers,
    private readonly resolver: Resolver,
    private readonly refresher: Refresher,
    private readonly isHostAddress: (address: Address) => boolean,
    private readonly answers: Answers,
    private readonly saves: SaveQueue,
  ) {}

  #asks: readonly NameServer[] = []

  static async open(options: NameResolutionOptions): Promise<NameResolution> {
    const { config, policies, addressStore, store, log, isHostAddress, seed } = options
    const servers = await options.servers.of(config)
    const resolver = new Resolver({ servers, timeoutMs: config.resolver.timeoutMs })
    const soon = store.queue('addresses', savedAddresses, SAVE_CHANGE_MS, () => addressStore.snapshot())
    const later = laterRequests(soon)
    const answers = new Answers()
    const refresher = new Refresher({
      settings: settingsOf(config, policies),
      resolver,
      addressStore,
      log,
      isHostAddress,
      seed,
      onChange: () => {
        soon.request()
        options.onChange()
      },
      onLookup: (report) => {
        answers.came(report)
        later()
        options.onLookup(report)
      },
    })
    const names = new NameResolution(
      addressStore,
      options.servers,
      resolver,
      refresher,
      isHostAddress,
      answers,
      soon,
    )
    names.#asks = servers
    return names
  }

  /** Begins to ask. */
  start(): void {
    this.refresher.start()
  }

  /** Does no name have an address, though there are names? So it is when nothing was saved: at the first start ever. */
  get knowsNothing(): boolean {
    const { fresh, stale, failing } = this.addressStore.counts()
    return fresh === 0 && stale === 0 && failing > 0
  }

  /** Resolves when every name has an address or was asked for each family, whatever came of it, or when `timeoutMs` are over. */
  async firstAnswers(names: ReadonlyMap<Hostname, unknown>, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    const isSettled = (name: Hostname): boolean =>
      this.answers.areComplete(name) ||
      (this.answers.hasAny(name) && this.addressStore.state(name) !== 'failing')
    for (const name of names.keys()) {
      while (!isSettled(name) && performance.now() < deadlineMs) await sleep(5)
    }
  }

  /** What the gateway told a container is worth saving. */
  changed(): void {
    this.saves.request()
  }

  async stop(): Promise<void> {
    await this.refresher.stop()
    this.resolver.close()
  }

  /** Other name servers than before may know other addresses: every name is asked for within `intervalMs`. */
  askOthers(servers: readonly NameServer[], intervalMs: number): void {
    this.#asks = servers
    this.resolver.setServers(servers)
    this.refresher.sweep(intervalMs)
  }

  /** Names that are gone are forgotten at once, with their addresses. */
  async reconfigure(config: Config, policies: Policies): Promise<void> {
    const servers = await this.servers.of(config)
    const areOthers = !areSameServers(servers, this.#asks)
    this.#asks = servers
    this.resolver.setServers(servers, config.resolver.timeoutMs)
    this.refresher.reconfigure(settingsOf(config, policies))
    this.answers.keepOnly(policies.names)
    if (!areOthers) return
    // Whether the new ones answer is to be known while somebody looks.
    this.answers.forget()
    const { maxQueriesPerSecond } = config.resolver
    this.refresher.sweep(
      Math.max(SWEEP_MS, (policies.names.size * FAMILIES.length * 1_000) / maxQueriesPerSecond),
    )
  }

  /** A fresh process takes over what an earlier one had put into the kernel under names that are still configured. */
  adopt(
    known: ReadonlyMap<string, KnownSet>,
    membership: Membership,
    maxStaleMs: number,
    nowMs: number,
  ): void {
    for (const [set, { elements }] of known) {
      for (const [element, { comment, expiresAtMs }] of elements) {
        const address = parseAddress(element)
        if (address === undefined || membership.has(set, element)) continue
        for (const name of comment.split(' ') as Hostname[]) {
          const lasts = membership.endOfName(set, name, address) > nowMs + maxStaleMs
          // The time-out of what ends with its right does not tell when it was written.
          const seenAtMs = lasts ? Math.min(nowMs, expiresAtMs - maxStaleMs) : nowMs
          this.addressStore.adopt(name, address, seenAtMs, this.isHostAddress)
        }
      }
    }
    if (this.addressStore.hasChanged) this.saves.request()
  }
}

/** For which families of a name an outcome has come. */
class Answers {
  readonly #families = new Map<Hostname, ReadonlySet<Family>>()

  came({ name, family }: LookupReport): void {
    const known = this.#families.get(name)
    if (!known?.has(family)) this.#families.set(name, new Set([...(known ?? []), family]))
  }

  hasAny(name: Hostname): boolean {
    return this.#families.has(name)
  }

  areComplete(name: Hostname): boolean {
    return this.#families.get(name)?.size === FAMILIES.length
  }

  keepOnly(names: ReadonlyMap<Hostname, unknown>): void {
    for (const name of this.#families.keys()) if (!names.has(name)) this.#families.delete(name)
  }

  forget(): void {
    this.#families.clear()
  }
}

const settingsOf = (config: Config, { names, patterns }: Policies): RefresherSettings => ({
  names,
  patterns,
  limits: limitsOf(config),
  refresh: config.resolver.refresh,
  maxQueriesPerSecond: config.resolver.maxQueriesPerSecond,
  sweep: config.resolver.sweep,
})

/** Asks the queue once a minute at most. */
function laterRequests(queue: SaveQueue): () => void {
  let timer: NodeJS.Timeout | undefined
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      queue.request()
    }, SAVE_SIGHT_MS).unref()
  }
}
