import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { IpFamily } from '../net/types.ts'
import type { Lookup } from '../resolve/model.ts'
import type { Unprotected } from '../workloads/model.ts'
import { CATALOGUE, UNPROTECTED_REASONS } from './catalogue.ts'
import { eventLabels } from './docker-events.ts'
import { sanitise } from './sanitise.ts'

export interface RuleRow {
  readonly family: IpFamily
  readonly policy: string
  readonly rule: string
  readonly action: string
  readonly packets: number
  readonly bytes: number
}

export interface DeniedRow {
  readonly policy: string
  readonly network: string
  readonly reason: string
  readonly packets: number
}

export interface DomainRow {
  readonly policy: string
  readonly domain: string
  readonly family: IpFamily
  readonly connections: number
}

/** How one look-up ended; `refused_range`: an answer whose every address is in a refused range. */
export type LookupOutcome = Lookup['kind'] | 'refused_range'

const LOOKUP_OUTCOMES: Readonly<Record<LookupOutcome, true>> = {
  addresses: true,
  empty: true,
  nxdomain: true,
  servfail: true,
  refused: true,
  timeout: true,
  malformed: true,
  error: true,
  refused_range: true,
}

/** Node's own metrics whose names break the naming rules (gauges that end in `_total`). */
const ILL_NAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/**
 * What Prometheus is told. Everything is a stored value that someone put in; a scrape reads nothing else and cannot fail.
 * `set…` methods with rows replace all series of their metric: what is not in the list is gone.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #enforcing = this.#gauge('enforcing')
  readonly #rulePackets = this.#counter('rulePackets')
  readonly #ruleBytes = this.#counter('ruleBytes')
  readonly #denied = this.#counter('denied')
  readonly #forgedFrames = this.#counter('forgedFrames')
  readonly #ignoredLabels = this.#gauge('ignoredLabels')
  readonly #domainConnections = this.#counter('domainConnections')
  readonly #addresses = this.#gauge('addresses')
  readonly #names = this.#gauge('names')
  readonly #nameStale = this.#gauge('nameStale')
  readonly #lookups = this.#counter('lookups')
  readonly #lookupDuration = this.#histogram(
    'lookupDuration',
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3, 10],
  )
  readonly #dnsQueries = this.#counter('dnsQueries')
  /** Since the last scrape, by policy, type and outcome: to find a counter by its labels costs more than to answer from the cache. */
  readonly #queriesSince = new Map<string, Map<string, Map<string, number>>>()
  readonly #dnsDuration = this.#histogram(
    'dnsDuration',
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 1, 3],
  )
  readonly #dnsHeld = this.#counter('dnsHeld')
  readonly #dnsCacheEntries = this.#gauge('dnsCacheEntries')
  readonly #dnsUpstream = this.#gauge('dnsUpstream')
  readonly #startHold = this.#counter('startHold')
  readonly #startHoldDuration = this.#histogram(
    'startHoldDuration',
    [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
  )
  readonly #reconciles = this.#counter('reconciles')
  readonly #reconcileDuration = this.#histogram(
    'reconcileDuration',
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  )
  readonly #driftRepairs = this.#counter('driftRepairs')
  readonly #dockerConnected = this.#gauge('dockerConnected')
  readonly #dockerEvents = this.#counter('dockerEvents')
  readonly #networks = this.#gauge('networks')
  readonly #unprotected = this.#gauge('unprotected')
  readonly #lastReconcile = this.#gauge('lastReconcile')
  readonly #lastVerified = this.#gauge('lastVerified')
  readonly #proof = this.#gauge('proof')
  readonly #configReload = this.#gauge('configReload')
  readonly #buildInfo = this.#gauge('buildInfo')

  constructor() {
    // The loop's delay is sampled by a timer: 100 times a second, as is usual, costs more than all that an idle daemon does.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 500 })
    for (const name of ILL_NAMED) this.#registry.removeSingleMetric(name)
    this.setEnforcing('rules', false)
    this.setEnforcing('backstop', false)
    this.setNames({ fresh: 0, stale: 0, failing: 0 }, [])
    this.setNetworks(0, 0)
    this.setUnprotected([])
    for (const outcome of ['known', 'unknown', 'overflow']) this.countStartHold(outcome)
    for (const outcome of Object.keys(LOOKUP_OUTCOMES)) this.#lookups.inc({ outcome }, 0)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The page in Prometheus's text format. */
  render(): Promise<string> {
    for (const [policy, ofPolicy] of this.#queriesSince)
      for (const [type, ofType] of ofPolicy)
        for (const [outcome, count] of ofType) this.#dnsQueries.inc({ policy, outcome, type }, count)
    this.#queriesSince.clear()
    return this.#registry.metrics()
  }

  setEnforcing(guard: 'rules' | 'backstop', on: boolean): void {
    this.#enforcing.set({ guard }, Number(on))
  }

  /** Totals since the first start ever: the caller carries them over rewrites and restarts. */
  setRuleCounters(rows: readonly RuleRow[]): void {
    replaceTotals(this.#rulePackets, rows, ruleLabels, (row) => row.packets)
    replaceTotals(this.#ruleBytes, rows, ruleLabels, (row) => row.bytes)
  }

  setDenied(rows: readonly DeniedRow[]): void {
    const labels = ({ policy, network, reason }: DeniedRow): Labels => ({
      policy,
      network: sanitise(network),
      reason,
    })
    replaceTotals(this.#denied, rows, labels, (row) => row.packets)
  }

  setDomainConnections(rows: readonly DomainRow[]): void {
    const labels = ({ policy, domain, family }: DomainRow): Labels => ({ policy, domain, family })
    replaceTotals(this.#domainConnections, rows, labels, (row) => row.connections)
  }

  setAddresses(
    rows: readonly { readonly policy: string; readonly family: IpFamily; readonly count: number }[],
  ): void {
    this.#addresses.reset()
    for (const { policy, family, count } of rows) this.#addresses.set({ policy, family }, count)
  }

  setNames(
    counts: { readonly fresh: number; readonly stale: number; readonly failing: number },
    stale: readonly { readonly domain: string; readonly seconds: number }[],
  ): void {
    for (const state of ['fresh', 'stale', 'failing'] as const) this.#names.set({ state }, counts[state])
    this.#nameStale.reset()
    for (const { domain, seconds } of stale) this.#nameStale.set({ domain }, seconds)
  }

  countLookup(outcome: LookupOutcome): void {
    this.#lookups.inc({ outcome })
  }

  observeLookup(seconds: number): void {
    this.#lookupDuration.observe(seconds)
  }

  countQuery(query: {
    readonly policy: string
    readonly outcome: string
    readonly type: string
    readonly durationMs: number
    readonly waitedForKernel: boolean
  }): void {
    const { policy, outcome, type } = query
    const ofPolicy = entryOf(this.#queriesSince, policy)
    const ofType = entryOf(ofPolicy, type)
    ofType.set(outcome, (ofType.get(outcome) ?? 0) + 1)
    this.#dnsDuration.observe(query.durationMs / 1000)
    if (query.waitedForKernel) this.#dnsHeld.inc()
  }

  setDnsGateway(
    cacheEntries: number,
    upstreams: readonly { readonly server: string; readonly up: boolean }[],
  ): void {
    this.#dnsCacheEntries.set(cacheEntries)
    this.#dnsUpstream.reset()
    for (const { server, up } of upstreams) this.#dnsUpstream.set({ server }, Number(up))
  }

  /** `heldMs` undefined makes the series known before the first packet. */
  countStartHold(outcome: string, heldMs?: number): void {
    this.#startHold.inc({ outcome }, heldMs === undefined ? 0 : 1)
    if (heldMs !== undefined) this.#startHoldDuration.observe(heldMs / 1000)
  }

  countReconcile(trigger: string, outcome: string): void {
    this.#reconciles.inc({ trigger, outcome })
  }

  observeReconcile(seconds: number): void {
    this.#reconcileDuration.observe(seconds)
  }

  /** `count` 0 makes the series known before the first repair. */
  countDriftRepair(kind: string, count = 1): void {
    this.#driftRepairs.inc({ kind }, count)
  }

  setDockerConnected(connected: boolean): void {
    this.#dockerConnected.set(Number(connected))
  }

  countDockerEvent(type: string, action: string): void {
    this.#dockerEvents.inc(eventLabels(type, action))
  }

  setNetworks(guarded: number, unguarded: number): void {
    this.#networks.set({ guarded: 'true' }, guarded)
    this.#networks.set({ guarded: 'false' }, unguarded)
  }

  /** Counts subjects; every reason of the closed list always has its series. */
  /** Since the table was made. */
  setForgedFrames(frames: { readonly forged: number; readonly claimed: number }): void {
    this.#forgedFrames.reset()
    this.#forgedFrames.inc({ kind: 'forged' }, frames.forged)
    this.#forgedFrames.inc({ kind: 'claimed' }, frames.claimed)
  }

  setIgnoredLabels(count: number): void {
    this.#ignoredLabels.set(count)
  }

  setUnprotected(found: readonly Pick<Unprotected, 'reason'>[]): void {
    for (const reason of UNPROTECTED_REASONS) {
      this.#unprotected.set({ reason }, found.filter((item) => item.reason === reason).length)
    }
  }

  /** Unix seconds. */
  setLastReconcile(seconds: number): void {
    this.#lastReconcile.set(seconds)
  }

  /** Unix seconds. */
  setLastVerified(seconds: number): void {
    this.#lastVerified.set(seconds)
  }

  setProofs(rows: readonly { readonly network: string; readonly passed: boolean }[]): void {
    this.#proof.reset()
    for (const { network, passed } of rows) this.#proof.set({ network: sanitise(network) }, Number(passed))
  }

  setConfigReload(successful: boolean): void {
    this.#configReload.set(Number(successful))
  }

  setBuildInfo(labels: {
    readonly version: string
    readonly backend: string
    readonly engine: string
  }): void {
    this.#buildInfo.reset()
    const { version, backend, engine } = labels
    this.#buildInfo.set({ version, backend: sanitise(backend), engine: sanitise(engine) }, 1)
  }

  #gauge(key: keyof typeof CATALOGUE): Gauge {
    return new Gauge({ ...describe(key), registers: [this.#registry] })
  }

  #counter(key: keyof typeof CATALOGUE): Counter {
    return new Counter({ ...describe(key), registers: [this.#registry] })
  }

  #histogram(key: keyof typeof CATALOGUE, buckets: number[]): Histogram {
    return new Histogram({ ...describe(key), buckets, registers: [this.#registry] })
  }
}

type Labels = Record<string, string>

/** The inner map of a key, which is made where there is none. */
function entryOf<Key, Value>(outer: Map<string, Map<Key, Value>>, key: string): Map<Key, Value> {
  let inner = outer.get(key)
  if (!inner) outer.set(key, (inner = new Map()))
  return inner
}

const ruleLabels = ({ family, policy, rule, action }: RuleRow): Labels => ({ family, policy, rule, action })

function describe(key: keyof typeof CATALOGUE): { name: string; help: string; labelNames: string[] } {
  const { name, help, labelNames } = CATALOGUE[key]
  return { name, help, labelNames: [...labelNames] }
}

/** A counter here can only grow, so a total is put in by starting it again from nothing; both happen between two scrapes. */
function replaceTotals<Row>(
  counter: Counter,
  rows: readonly Row[],
  labelsOf: (row: Row) => Labels,
  totalOf: (row: Row) => number,
): void {
  counter.reset()
  for (const row of rows) {
    const total = totalOf(row)
    if (Number.isFinite(total) && total >= 0) counter.inc(labelsOf(row), total)
  }
}
