import { OUTCOMES as QUERY_OUTCOMES } from '../gateway/model.ts'
import type { Lookup } from '../resolve/model.ts'
import type { UnprotectedReason } from '../workloads/model.ts'
import { EVENT_ACTIONS, EVENT_TYPES } from './docker-events.ts'

/**
 * The values of a label: one of a list, any `text` of our own, or text from `outside`, whose unsafe characters are escaped. The compiler refuses a
 * value that is not in the list.
 */
type LabelValues = readonly string[] | 'text' | 'outside'

interface Definition {
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly name: string
  readonly help: string
  /** In the order in which the page shows them. */
  readonly labels: Readonly<Record<string, LabelValues>>
}

const gauge = <const Labels extends Definition['labels']>(name: string, help: string, labels: Labels) =>
  ({ type: 'gauge', name: `embargod_${name}`, help, labels }) as const
const counter = <const Labels extends Definition['labels']>(name: string, help: string, labels: Labels) =>
  ({ type: 'counter', name: `embargod_${name}`, help, labels }) as const
const histogram = (name: string, help: string, buckets: readonly number[]) =>
  ({ type: 'histogram', name: `embargod_${name}`, help, labels: {}, buckets }) as const

const IP_FAMILIES = ['ipv4', 'ipv6'] as const

/** How one look-up ended; `refused_range`: an answer whose every address is in a refused range. */
const LOOKUP_OUTCOMES = [
  'addresses',
  'empty',
  'nxdomain',
  'servfail',
  'refused',
  'timeout',
  'malformed',
  'error',
  'refused_range',
] as const satisfies readonly (Lookup['kind'] | 'refused_range')[]

/** The closed list, complete by its type. */
const REASONS: Readonly<Record<UnprotectedReason, true>> = {
  'host-network': true,
  macvlan: true,
  ipvlan: true,
  rootless: true,
  'docker-socket-mounted': true,
  privileged: true,
  'netadmin-on-host': true,
  'bridge-uplink': true,
  'mixed-bridge': true,
  'dns-tunnel': true,
  'smtp-any': true,
  'published-inbound': true,
  'no-second-guard': true,
  'engine-backend': true,
  'foreign-bridge': true,
  'open-policy': true,
}
export const UNPROTECTED_REASONS = Object.keys(REASONS) as readonly UnprotectedReason[]

/** Every metric of embargod itself. Names and labels are an interface for dashboards and alerts. */
export const CATALOGUE = {
  enforcing: gauge('enforcing', 'Whether this guard holds packets now (1) or not (0).', {
    guard: ['rules', 'backstop'],
  }),
  rulePackets: counter('rule_packets_total', 'Packets that a rule matched.', {
    family: IP_FAMILIES,
    policy: 'text',
    rule: 'text',
    action: 'text',
  }),
  ruleBytes: counter('rule_bytes_total', 'Bytes that a rule matched.', {
    family: IP_FAMILIES,
    policy: 'text',
    rule: 'text',
    action: 'text',
  }),
  denied: counter(
    'denied_packets_total',
    'Packets denied, by policy, network and reason, including the packets of proofs. The policies of a container are joined by `+`; `unknown` stands for sources that are not known containers, `host` for reasons that are the same for all.',
    { policy: 'text', network: 'outside', reason: 'text' },
  ),
  forgedFrames: counter(
    'forged_frames_total',
    "Frames dropped at a bridge: sent by a container with addresses that are not its own (forged), or by another sender with a container's addresses (claimed).",
    { kind: ['forged', 'claimed'] },
  ),
  ignoredLabels: gauge(
    'ignored_image_labels',
    'Labels of containers that would match a policy and do not count, since they come with the image.',
    {},
  ),
  domainConnections: counter(
    'domain_connections_total',
    'Connections admitted to an address of the domain; a shared address counts for each of its names.',
    { policy: 'text', domain: 'text', family: IP_FAMILIES },
  ),
  addresses: gauge('addresses', 'Addresses that a policy allows now.', {
    policy: 'text',
    family: IP_FAMILIES,
  }),
  names: gauge('names', 'Configured names by state: fresh, stale or failing.', {
    state: ['fresh', 'stale', 'failing'],
  }),
  nameStale: gauge(
    'name_stale_seconds',
    'Seconds since the last successful look-up of a name whose addresses come from old answers.',
    { domain: 'text' },
  ),
  lookups: counter('resolve_total', 'Look-ups (one name, one family) by outcome.', {
    outcome: LOOKUP_OUTCOMES,
  }),
  lookupDuration: histogram(
    'resolve_duration_seconds',
    'Duration of one look-up.',
    [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 3, 10],
  ),
  dnsQueries: counter(
    'dns_queries_total',
    'Questions of containers to the DNS gateway. The policy is the one that allows the name; for a denied name all policies of the container, joined by `+`.',
    { policy: 'text', outcome: QUERY_OUTCOMES, type: 'text' },
  ),
  dnsDuration: histogram(
    'dns_duration_seconds',
    'Time from the arrival of a question until its answer is sent, including the wait for the kernel.',
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.02, 0.1, 0.5, 1, 3],
  ),
  dnsHeld: counter('dns_held_total', 'Answers that waited until the kernel had their addresses.', {}),
  dnsCacheEntries: gauge('dns_cache_entries', 'Answers in the cache of the DNS gateway.', {}),
  dnsUpstream: gauge(
    'dns_upstream_up',
    'Whether the upstream answered the last question of the DNS gateway.',
    { server: 'text' },
  ),
  startHold: counter(
    'start_hold_total',
    'First packets of containers that were held until the rights of their sender were known: known in time, still unknown at the end, or too many to hold (overflow).',
    { outcome: ['known', 'unknown', 'overflow'] },
  ),
  startHoldDuration: histogram(
    'start_hold_seconds',
    'How long a first packet of a container was held.',
    [0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1],
  ),
  reconciles: counter(
    'reconcile_total',
    'Passes of the reconcile loop by what asked for them and how they ended.',
    { trigger: 'text', outcome: 'text' },
  ),
  reconcileDuration: histogram(
    'reconcile_duration_seconds',
    'Duration of one pass of the reconcile loop.',
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  ),
  driftRepairs: counter(
    'drift_repairs_total',
    'Changes that others made to rules or sets of embargod, and that were repaired.',
    {
      kind: 'text',
    },
  ),
  dockerConnected: gauge('docker_connected', 'Whether the Docker engine answers and its events arrive.', {}),
  dockerEvents: counter('docker_events_total', 'Events of the Docker engine.', {
    type: EVENT_TYPES,
    action: EVENT_ACTIONS,
  }),
  networks: gauge('networks', 'Docker networks by whether they are guarded.', { guarded: ['true', 'false'] }),
  unprotected: gauge('unprotected', 'Things on this host that the firewall does not hold, by reason.', {
    reason: UNPROTECTED_REASONS,
  }),
  lastReconcile: gauge('last_reconcile_timestamp_seconds', 'Unix time of the last pass that succeeded.', {}),
  lastVerified: gauge(
    'last_verified_timestamp_seconds',
    'Unix time of the last proof on the live host that passed.',
    {},
  ),
  proof: gauge(
    'proof_success',
    'Whether the last proof on the live host passed on this network. A series without a network is 0: no network could be tried.',
    { network: 'outside' },
  ),
  configReload: gauge(
    'config_last_reload_successful',
    'Whether the last load of the configuration was accepted; 0: the one before is enforced.',
    {},
  ),
  buildInfo: gauge('build_info', 'Always 1; the labels say what runs.', {
    version: 'text',
    backend: 'outside',
    engine: 'outside',
  }),
} as const satisfies Record<string, Definition>

type Catalogue = typeof CATALOGUE
/** The metrics of a type, by the keys of the catalogue. */
export type MetricKey<Type extends Definition['type'] = Definition['type']> = {
  [Key in keyof Catalogue]: Catalogue[Key]['type'] extends Type ? Key : never
}[keyof Catalogue]

type ValueOf<Values> = Values extends readonly (infer Value extends string)[] ? Value : string
/** What names one series of a metric. */
export type LabelsOf<Key extends MetricKey> = {
  readonly [Label in keyof Catalogue[Key]['labels']]: ValueOf<Catalogue[Key]['labels'][Label]>
}

/** `docs/metrics.md`. */
export function renderMetricsReference(): string {
  const rows = Object.values(CATALOGUE).map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${Object.keys(labels)
        .map((label) => `\`${label}\``)
        .join(', ')} | ${help} |`,
  )
  return [
    '# Metrics',
    '',
    'Served on `metrics.listen` under `/metrics`. Counters never go backwards over a rewrite of the rules or a restart of the daemon;',
    'series of removed networks go. Beside these there are the usual `process_*` metrics and those of Node.js.',
    '',
    '| name | type | labels | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    `Reasons of \`embargod_unprotected\`: ${UNPROTECTED_REASONS.map((reason) => `\`${reason}\``).join(', ')}.`,
    '',
  ].join('\n')
}
