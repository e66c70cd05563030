import { setFlagsFromString } from 'node:v8'
import type { Config } from '../config/model.ts'
import { restoreCache, snapshotOf, type CacheSnapshot } from '../gateway/cache-snapshot.ts'
import { Gateway } from '../gateway/gateway.ts'
import { Listener } from '../gateway/listener.ts'
import type { Admission, AnswerPolicy, Asker, QueryReport } from '../gateway/model.ts'
import { DnsClient, MANY_QUESTIONS, type ServerHealth } from '../dns/client.ts'
import type { NameServer } from '../dns/name-server.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import { oneAtATime } from '../system/one-at-a-time.ts'
import type { Inventory } from '../workloads/model.ts'
import { answerPolicyOf } from './askers.ts'
import { PortWatch } from './port-watch.ts'
import { UpstreamWatch } from './upstream-watch.ts'
import { errorMessage } from '../system/errors.ts'

export interface DnsGatewayOptions {
  readonly admission: Admission
  readonly onQuery: (report: QueryReport) => void
  /** Undefined: it answers. Else why it does not. */
  readonly onState: (problem: string | undefined) => void
  /** Undefined: no other program takes questions at its port. Else which one does. */
  readonly onPort: (problem: string | undefined) => void
  /** Undefined: its upstreams answer. Else why containers get no new answers. */
  readonly onUpstreams: (problem: string | undefined) => void
  /** A fault of our own, which cost one container one answer. */
  readonly onFault: (error: unknown) => void
  /** Sockets that the service manager holds open for us. */
  readonly inherited: readonly InheritedSocket[]
  /** It answers containers from now on, or no longer does, which a later start of the service needs to know. Never rejects. */
  readonly onWanted: (isWanted: boolean) => Promise<void>
  /** The cache of an earlier process. */
  readonly savedCache: CacheSnapshot | undefined
  /** The host's own name servers, asked where the config names no upstreams. */
  readonly ownServers: (config: Config) => Promise<readonly NameServer[]>
}

/** How long until something that failed is tried again. */
const RETRY_MS = 2_000

/** The gateway within the daemon: opened and closed with the config, with its listening sockets and its upstreams. */
export class DnsGateway {
  readonly #options: DnsGatewayOptions
  readonly #portWatch: PortWatch
  readonly #upstreamWatch: UpstreamWatch
  /** Stays after the gateway is turned off, for its cache. */
  #gateway: Gateway | undefined
  #upstreams: DnsClient | undefined
  #listener: { readonly port: number; readonly socket: Listener } | undefined
  #config: Config | undefined
  #retry: NodeJS.Timeout | undefined
  #policy: AnswerPolicy | undefined
  #policyInputs: readonly unknown[] = []
  #next: { readonly by: readonly unknown[]; readonly policy: AnswerPolicy } | undefined

  constructor(options: DnsGatewayOptions) {
    this.#options = options
    this.#portWatch = new PortWatch({ onState: options.onPort })
    this.#upstreamWatch = new UpstreamWatch({ onState: options.onUpstreams })
  }

  get upstreamHealth(): readonly ServerHealth[] {
    return this.#upstreams?.health() ?? []
  }

  get cacheEntries(): number {
    return this.#gateway?.cache.size ?? 0
  }

  /** The cache, for a later process. */
  snapshot(): CacheSnapshot {
    return this.#gateway ? snapshotOf(this.#gateway.cache) : { answers: [] }
  }

  /** A policy that will follow: until then containers whose rights change are not denied, since the kernel may have the new rights before the gateway does. */
  prepare(desired: Desired, inventory: Inventory | undefined): void {
    const by = inputsOf(desired, inventory)
    const current = this.#policy
    if (areSame(by, this.#policyInputs) || (this.#next && areSame(by, this.#next.by))) return
    const next = answerPolicyOf(desired, inventory)
    this.#next = { by, policy: next }
    if (!current) return
    this.#gateway?.setPolicy({
      ...current,
      askerWaitMs: next.askerWaitMs,
      askerState: (source) =>
        isSameAsker(current.askerOf(source), next.askerOf(source)) ? current.askerState(source) : 'changing',
    })
  }

  /** The policy from the next question on. Called when the kernel holds what is desired; most passes change nothing here. */
  setPolicy(desired: Desired, inventory: Inventory | undefined): void {
    const { config } = desired
    const by = inputsOf(desired, inventory)
    if (areSame(by, this.#policyInputs)) return
    this.#policyInputs = by
    const next = this.#next && areSame(by, this.#next.by) ? this.#next.policy : undefined
    this.#next = undefined
    const isOther = config !== this.#config
    this.#config = config
    this.#policy = next ?? answerPolicyOf(desired, inventory)
    this.#gateway?.setPolicy(this.#policy)
    if (isOther) void this.#serve()
  }

  /** The host's name servers changed, which are the upstreams where the config names none. */
  upstreamsChanged(): void {
    if (this.#config) void this.#serve()
  }

  async stop(): Promise<void> {
    this.#config = undefined
    clearTimeout(this.#retry)
    await this.#serve()
  }

  /** Opens and closes sockets as the config says, one change after the other. */
  readonly #serve = oneAtATime(async () => {
    clearTimeout(this.#retry)
    const config = this.#config
    try {
      this.#options.onState(config?.dns.gateway ? await this.#open(config) : await this.#close())
    } catch (error) {
      this.#failed(errorMessage(error))
    }
    if (config) await this.#options.onWanted(config.dns.gateway)
  })

  /** Resolves to a problem with which it answers all the same. */
  async #open(config: Config): Promise<string | undefined> {
    const { upstreams } = config.dns
    const servers = upstreams.length > 0 ? upstreams : await this.#options.ownServers(config)
    if (this.#upstreams) this.#upstreams.setServers(servers, config.resolver.timeoutMs)
    // The policy may have changed during the wait, so it is read only now.
    else if (this.#policy) {
      this.#upstreams = new DnsClient({
        servers,
        timeoutMs: config.resolver.timeoutMs,
        ports: MANY_QUESTIONS,
      })
      this.#gateway = this.#create(this.#upstreams, this.#policy)
    }
    if (this.#upstreams) this.#upstreamWatch.watch(this.#upstreams)
    // The option suits a daemon that has only passes to make, and keeps code from being compiled for speed.
    setFlagsFromString('--no-optimize-for-size')
    await this.#listen(config.dns.port)
    await this.#portWatch.watch(config.dns.port)
    return servers.length > 0 ? undefined : 'the DNS gateway has nobody to ask: name servers in dns.upstreams'
  }

  async #close(): Promise<undefined> {
    this.#portWatch.stop()
    this.#upstreamWatch.stop()
    await this.#listener?.socket.close()
    this.#listener = undefined
    this.#upstreams?.close()
    this.#upstreams = undefined
  }

  #failed(why: string): void {
    this.#options.onState(`containers get no DNS from the gateway: ${why}`)
    clearTimeout(this.#retry)
    this.#retry = setTimeout(() => void this.#serve(), RETRY_MS).unref()
  }

  #create(upstream: DnsClient, policy: AnswerPolicy): Gateway {
    const { admission, onQuery, onFault, savedCache } = this.#options
    const gateway = new Gateway({ upstream, admission, policy, onQuery, onFault })
    if (savedCache) restoreCache(gateway.cache, savedCache, Date.now())
    return gateway
  }

  async #listen(port: number): Promise<void> {
    if (this.#listener?.port === port) return
    const gateway = this.#gateway
    const before = this.#listener
    const socket = await Listener.open({
      port,
      inherited: this.#options.inherited,
      onMessage: (message, from, isUdp, respond) => gateway?.handle(message, from, isUdp, respond) ?? false,
      onError: (error) => this.#lost(port, error),
    }).catch((error: unknown) => {
      throw new Error(
        `it cannot listen on port ${port} (${errorMessage(error)}): free it, or name another in dns.port`,
      )
    })
    this.#listener = { port, socket }
    await before?.socket.close()
  }

  /** After a failure of one socket all are opened again. */
  #lost(port: number, error: Error): void {
    const lost = this.#listener
    if (lost?.port !== port) return
    this.#listener = undefined
    void lost.socket.close().then(() => this.#failed(`a socket failed (${error.message})`))
  }
}

const inputsOf = (
  { config, policies, hostFacts }: Desired,
  inventory: Inventory | undefined,
): readonly unknown[] => [config, policies, hostFacts, inventory]

const areSame = (some: readonly unknown[], others: readonly unknown[]): boolean =>
  some.every((one, index) => one === others[index])

const isSameAsker = (one: Asker | undefined, other: Asker | undefined): boolean =>
  one?.anyName === other?.anyName && one?.policies.join() === other?.policies.join()
