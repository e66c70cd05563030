import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { CATALOGUE, type LabelsOf, type MetricKey } from './catalogue.ts'
import { QueryCounts } from './query-counts.ts'
import { sanitise } from './sanitise.ts'

/** One series and its value. */
export interface Series<Key extends MetricKey> {
  readonly labels: LabelsOf<Key>
  readonly value: number
}

/** Node's own metrics whose names break the naming rules (gauges that end in `_total`). */
const ILL_NAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
]

/** Metrics whose every series is on the page from the start, at zero. */
const FROM_THE_START = ['enforcing', 'names', 'networks', 'unprotected', 'startHold', 'lookups'] as const

/**
 * What Prometheus is told: a table of stored values, by the keys and labels of the {@link CATALOGUE}. A scrape reads nothing else and cannot fail.
 */
export class Metrics {
  /** Counted one by one, and put into the table by {@link render}. */
  readonly queries = new QueryCounts()
  readonly #registry = new Registry()
  readonly #gauges = new Map<string, Gauge>()
  readonly #counters = new Map<string, Counter>()
  readonly #histograms = new Map<string, Histogram>()

  constructor() {
    for (const key of KEYS) this.#add(key)
    // The loop's delay is sampled by a timer: 100 times a second, as is usual, costs more than all that an idle daemon does.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 500 })
    for (const name of ILL_NAMED) this.#registry.removeSingleMetric(name)
    for (const key of FROM_THE_START) this.#showAtZero(key)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The page in Prometheus's text format. */
  render(): Promise<string> {
    for (const { labels, count } of this.queries.take()) this.inc('dnsQueries', labels, count)
    return this.#registry.metrics()
  }

  set<Key extends MetricKey<'gauge'>>(key: Key, labels: LabelsOf<Key>, value: number): void {
    this.#gauges.get(key)?.set(written(key, labels), value)
  }

  /** With 0 a series is on the page before there is anything to count. */
  inc<Key extends MetricKey<'counter'>>(key: Key, labels: LabelsOf<Key>, count = 1): void {
    this.#counters.get(key)?.inc(written(key, labels), count)
  }

  observe(key: MetricKey<'histogram'>, value: number): void {
    this.#histograms.get(key)?.observe(value)
  }

  /**
   * All series of a metric: what is not in the list is gone from the page. The values of a counter are totals since the first start ever, which the
   * caller carries over rewrites of the rules and restarts; one that is no total is left out.
   */
  replace<Key extends MetricKey<'gauge' | 'counter'>>(key: Key, series: readonly Series<Key>[]): void {
    const gauge = this.#gauges.get(key)
    gauge?.reset()
    for (const { labels, value } of series) gauge?.set(written(key, labels), value)
    // A counter can only grow, so it starts again from nothing. Both happen between two scrapes.
    const counter = this.#counters.get(key)
    counter?.reset()
    for (const { labels, value } of series)
      if (Number.isFinite(value) && value >= 0) counter?.inc(written(key, labels), value)
  }

  #add(key: MetricKey): void {
    const definition = CATALOGUE[key]
    const { name, help, labels } = definition
    const options = { name, help, labelNames: Object.keys(labels), registers: [this.#registry] }
    switch (definition.type) {
      case 'gauge':
        this.#gauges.set(key, new Gauge(options))
        break
      case 'counter':
        this.#counters.set(key, new Counter(options))
        break
      case 'histogram':
        this.#histograms.set(key, new Histogram({ ...options, buckets: [...definition.buckets] }))
        break
      default:
        definition satisfies never
    }
  }

  #showAtZero(key: (typeof FROM_THE_START)[number]): void {
    for (const [label, values] of Object.entries<readonly string[]>(CATALOGUE[key].labels))
      for (const value of values) {
        this.#gauges.get(key)?.set({ [label]: value }, 0)
        this.#counters.get(key)?.inc({ [label]: value }, 0)
      }
  }
}

const KEYS = Object.keys(CATALOGUE) as MetricKey[]

/** The labels in the order of the catalogue, safe to print. */
function written<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>): Record<string, string> {
  const given: Readonly<Record<string, string>> = labels
  return Object.fromEntries(
    Object.entries<unknown>(CATALOGUE[key].labels).map(([label, values]) => {
      const value = given[label] ?? ''
      return [label, values === 'outside' ? sanitise(value) : value]
    }),
  )
}
