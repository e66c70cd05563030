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

/** A new address is saved at once, so that a crash loses none. That a known one was seen again can wait. */
const SAVE_CHANGE_MS = 1_000
const SAVE_SIGHT_MS = 60_000
/** With new name servers, a few names are asked within this time; many take as long as the limit on questions makes them. */
const SWEEP_MS = 1_000

export interface NameResolutionOptions {
  readonly config: Config
  readonly policies: Policies
  readonly addressStore: AddressStore
  readonly servers: OwnServers
  readonly store: Store
  readonly log: Logger
  readonly isHostAddress: (address: Address) => boolean
  /** Gives each host its own order of look-ups in a sweep. */
  readonly seed: string
  /** The live addresses of a name changed. */
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

  /** Begins to look names up. */
  start(): void {
    this.refresher.start()
  }

  /** Are there names, and none has an address? So it is at the very first start, when nothing was saved. */
  get knowsNothing(): boolean {
    const { fresh, stale, failing } = this.addressStore.counts()
    return fresh === 0 && stale === 0 && failing > 0
  }

  /** Resolves when every name has an address or a look-up of each family has ended, well or not, or after `timeoutMs`. */
  async firstAnswers(names: ReadonlyMap<Hostname, unknown>, timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    const isSettled = (name: Hostname): boolean =>
      this.answers.areComplete(name) ||
      (this.answers.hasAny(name) && this.addressStore.state(name) !== 'failing')
    for (const name of names.keys()) {
      while (!isSettled(name) && performance.now() < deadlineMs) await sleep(5)
    }
  }

  /** The gateway put addresses into the store, which are to be saved. */
  changed(): void {
    this.saves.request()
  }

  async stop(): Promise<void> {
    await this.refresher.stop()
    this.resolver.close()
  }

  /** Other name servers may know other addresses, so every name is looked up within `intervalMs`. */
  askOthers(servers: readonly NameServer[], intervalMs: number): void {
    this.#asks = servers
    this.resolver.setServers(servers)
    this.refresher.sweep(intervalMs)
  }

  /** Takes over a config. Names that are gone are forgotten at once, with their addresses. */
  async reconfigure(config: Config, policies: Policies): Promise<void> {
    const servers = await this.servers.of(config)
    const areOthers = !areSameServers(servers, this.#asks)
    this.#asks = servers
    this.resolver.setServers(servers, config.resolver.timeoutMs)
    this.refresher.reconfigure(settingsOf(config, policies))
    this.answers.keepOnly(policies.names)
    if (!areOthers) return
    // The person who reloads is to hear whether the new servers answer.
    this.answers.forget()
    const { maxQueriesPerSecond } = config.resolver
    this.refresher.sweep(
      Math.max(SWEEP_MS, (policies.names.size * FAMILIES.length * 1_000) / maxQueriesPerSecond),
    )
  }

  /** Takes over the addresses that an earlier process put into the kernel for names that are still configured. */
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
          // The time-out of an element that expires with its entry does not tell when it was written.
          const seenAtMs = lasts ? Math.min(nowMs, expiresAtMs - maxStaleMs) : nowMs
          this.addressStore.adopt(name, address, seenAtMs, this.isHostAddress)
        }
      }
    }
    if (this.addressStore.hasChanged) this.saves.request()
  }
}

/** The families of each name whose look-up has ended. */
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

/** A request to save, passed on once a minute at most. */
function laterRequests(queue: SaveQueue): () => void {
  let timer: NodeJS.Timeout | undefined
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      queue.request()
    }, SAVE_SIGHT_MS).unref()
  }
}
