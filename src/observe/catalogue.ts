import type { UnprotectedReason } from '../workloads/model.ts'

interface Definition {
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
}

const gauge = (name: string, help: string, ...labelNames: string[]): Definition => ({
  type: 'gauge',
  name: `embargod_${name}`,
  help,
  labelNames,
})
const counter = (name: string, help: string, ...labelNames: string[]): Definition => ({
  ...gauge(name, help, ...labelNames),
  type: 'counter',
})
const histogram = (name: string, help: string): Definition => ({ ...gauge(name, help), type: 'histogram' })

/** Every metric of embargod itself. Names and labels are an interface for dashboards and alerts. */
export const CATALOGUE = {
  enforcing: gauge('enforcing', 'Whether this guard holds packets now (1) or not (0).', 'guard'),
  rulePackets: counter(
    'rule_packets_total',
    'Packets that a rule matched.',
    'family',
    'policy',
    'rule',
    'action',
  ),
  ruleBytes: counter('rule_bytes_total', 'Bytes that a rule matched.', 'family', 'policy', 'rule', 'action'),
  denied: counter(
    'denied_packets_total',
    'Packets denied, by policy, network and reason; those of a proof among them. The policies of a container are joined by `+`; `unknown` is a source that no container holds, `host` a reason that is the same for all.',
    'policy',
    'network',
    'reason',
  ),
  forgedFrames: counter(
    'forged_frames_total',
    "Frames dropped at a bridge: of a container and not with its own addresses (forged), or with a container's addresses and of somebody else (claimed).",
    'kind',
  ),
  ignoredLabels: gauge(
    'ignored_image_labels',
    'Labels that would match a policy, and do not count since the image of the container brings them.',
  ),
  domainConnections: counter(
    'domain_connections_total',
    'Connections admitted to an address of the domain; a shared address counts for each of its names.',
    'policy',
    'domain',
    'family',
  ),
  addresses: gauge('addresses', 'Addresses that a policy allows now.', 'policy', 'family'),
  names: gauge('names', 'Configured names by state: fresh, stale or failing.', 'state'),
  nameStale: gauge(
    'name_stale_seconds',
    'Seconds since the last successful look-up of a name that lives on old answers.',
    'domain',
  ),
  lookups: counter('resolve_total', 'Look-ups (one name, one family) by outcome.', 'outcome'),
  lookupDuration: histogram('resolve_duration_seconds', 'Duration of one look-up.'),
  dnsQueries: counter(
    'dns_queries_total',
    'Questions of containers to the DNS gateway. Policy: the one that allows the name; of a denied name all that the container has, joined by `+`.',
    'policy',
    'outcome',
    'type',
  ),
  dnsDuration: histogram(
    'dns_duration_seconds',
    'From the arrival of a question to the answer that leaves, the wait for the kernel included.',
  ),
  dnsHeld: counter('dns_held_total', 'Answers that waited for the kernel to hold their addresses.'),
  dnsCacheEntries: gauge('dns_cache_entries', 'Answers in the cache of the DNS gateway.'),
  dnsUpstream: gauge(
    'dns_upstream_up',
    'Whether the upstream answered the last question of the DNS gateway.',
    'server',
  ),
  startHold: counter(
    'start_hold_total',
    'First packets of containers that were held until the rights of their sender were known: known in time, unknown still, or too many to hold (overflow).',
    'outcome',
  ),
  startHoldDuration: histogram('start_hold_seconds', 'How long such a packet was held.'),
  reconciles: counter(
    'reconcile_total',
    'Passes of the reconcile loop by what asked for them and how they ended.',
    'trigger',
    'outcome',
  ),
  reconcileDuration: histogram('reconcile_duration_seconds', 'Duration of one pass of the reconcile loop.'),
  driftRepairs: counter('drift_repairs_total', 'Changes by others to our rules or sets, put right.', 'kind'),
  dockerConnected: gauge('docker_connected', 'Whether the Docker engine answers and its events arrive.'),
  dockerEvents: counter('docker_events_total', 'Events of the Docker engine.', 'type', 'action'),
  networks: gauge('networks', 'Docker networks by whether they are guarded.', 'guarded'),
  unprotected: gauge(
    'unprotected',
    'Things on this host that the firewall does not hold, by reason.',
    'reason',
  ),
  lastReconcile: gauge('last_reconcile_timestamp_seconds', 'Unix time of the last pass that succeeded.'),
  lastVerified: gauge(
    'last_verified_timestamp_seconds',
    'Unix time of the last proof on the live host that passed.',
  ),
  proof: gauge('proof_success', 'Whether the last proof on the live host passed on this network.', 'network'),
  configReload: gauge(
    'config_last_reload_successful',
    'Whether the last load of the configuration was accepted; 0: the one before is enforced.',
  ),
  buildInfo: gauge('build_info', 'Always 1; the labels say what runs.', 'version', 'backend', 'engine'),
} as const satisfies Record<string, Definition>

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
}
export const UNPROTECTED_REASONS: readonly string[] = Object.keys(REASONS)

/** `docs/metrics.md`. */
export function renderMetricsReference(): string {
  const rows = Object.values(CATALOGUE).map(
    ({ name, type, labelNames, help }) =>
      `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
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
