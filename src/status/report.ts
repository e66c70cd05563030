import type { StatusReport } from '../control/status.ts'
import { allowSet } from '../dataplane/names.ts'
import type { HostView } from '../host/host-view.ts'
import type { Flavour } from '../targets/iptables/diff.ts'
import { FAMILIES, type Family } from '../net/types.ts'
import type { Dropped } from '../targets/bindings/render.ts'
import { UNPROTECTED_REASONS } from '../observe/catalogue.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Counters } from '../reconcile/counters.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import { nameNotes } from './guard-names.ts'
import { openEntries } from './open-entries.ts'
import { endOfName } from '../policy/ends.ts'
import { mixedNetworks } from '../policy/classes.ts'
import { VERSION } from '../version.ts'
import { isGuardable } from '../workloads/guarded.ts'
import { findUnprotected } from '../workloads/unprotected/unprotected.ts'
import type { Unprotected } from '../workloads/model.ts'
import { findStrayDns, type StrayDns } from '../workloads/resolvers/stray-dns.ts'

/** Everything that the status report is made of. Making the report reads nothing from the kernel. */
export interface StatusSources {
  readonly desired: Desired
  readonly addressStore: AddressStore
  readonly counters: Counters
  readonly host: HostView
  readonly guards: Guards
  /** Did the latest proof of each network pass, and was at least one network tried? */
  readonly proven: boolean
  readonly flavour: Flavour | undefined
  /** Frames that were dropped because they were not the container's own, by kind. */
  readonly forgedFrames: Dropped
  /** Undefined: there is no DNS gateway. */
  readonly dns: StatusReport['dns']
  /** Why containers on the host's network are not guarded there, though `guard.hostNetwork` asks for it. */
  readonly hostNetworkProblem: string | undefined
}

export interface Guards {
  readonly rules: boolean
  readonly backstop: boolean
}

/** The parts of a status that only the daemon itself knows. */
export type DaemonFacts = Pick<
  StatusReport,
  | 'headline'
  | 'problems'
  | 'pid'
  | 'startedAtMs'
  | 'config'
  | 'docker'
  | 'temporary'
  | 'drift'
  | 'lastReconcile'
  | 'lastVerified'
>

/** Everything on this host that is not guarded. */
export function unprotectedOf({
  desired,
  host,
  guards,
  proven,
  hostNetworkProblem,
}: StatusSources): Unprotected[] {
  return findUnprotected({
    inventory: host.inventory,
    engine: host.engine,
    interfaces: host.interfaces,
    plan: desired.hostFacts.plan,
    config: desired.config,
    secondGuard: guards.backstop,
    proven: proven && guards.rules && guards.backstop,
    dnsGateway: desired.config.dns.gateway,
    openPolicies: openEntries(desired.config, desired.policies),
    askedByEngine: host.engineConfig.askedByEngine,
    mixedNetworks: desired.hostFacts.rights ? mixedNetworks(desired.hostFacts.rights) : [],
    hostNetwork: desired.hostFacts.hostGroups && {
      ...desired.hostFacts.hostGroups,
      problem: desired.hostFacts.hostGroups.problem ?? hostNetworkProblem,
    },
  })
}

/** Are there networks that could be guarded, and none is? */
export const guardsNone = ({ desired, host }: Pick<StatusSources, 'desired' | 'host'>): boolean =>
  host.inventory?.networks.some(isGuardable) === true &&
  desired.hostFacts.plan.guarded.every(({ networkName }) => networkName === undefined)

/** With the DNS gateway it does not matter which name servers a container has. */
export const strayDnsOf = ({ dns, host, desired }: StatusSources): StrayDns[] =>
  dns ? [] : findStrayDns(host.inventory, guardedSubnets(desired), desired.hostFacts.resolvers)

export function tellMetrics(
  metrics: Metrics,
  view: StatusSources,
  unprotected: readonly Unprotected[],
  nowMs: number,
): void {
  const { desired, addressStore, counters, host, guards, flavour } = view
  const { plan } = desired.hostFacts
  metrics.set('enforcing', { guard: 'rules' }, Number(guards.rules))
  metrics.set('enforcing', { guard: 'backstop' }, Number(guards.backstop))
  const rules = counters.ruleCounts(desired.dataplane())
  metrics.replace('rulePackets', seriesOf(rules, 'packets'))
  metrics.replace('ruleBytes', seriesOf(rules, 'bytes'))
  metrics.replace('denied', seriesOf(counters.deniedCounts(networkNames(desired)), 'packets'))
  metrics.replace('domainConnections', seriesOf(counters.domainCounts(desired.policies), 'connections'))
  metrics.replace('addresses', seriesOf(addressCounts(desired), 'count'))
  metrics.set('networks', { guarded: 'true' }, plan.guarded.length)
  metrics.set('networks', { guarded: 'false' }, plan.open.length)
  const names = addressStore.counts()
  for (const state of ['fresh', 'stale', 'failing'] as const) metrics.set('names', { state }, names[state])
  metrics.replace('nameStale', seriesOf(staleNames(addressStore, nowMs), 'seconds'))
  for (const reason of UNPROTECTED_REASONS)
    metrics.set('unprotected', { reason }, unprotected.filter((item) => item.reason === reason).length)
  const { forged, claimed } = view.forgedFrames
  metrics.replace('forgedFrames', [
    { labels: { kind: 'forged' }, value: forged },
    { labels: { kind: 'claimed' }, value: claimed },
  ])
  metrics.set('ignoredLabels', {}, desired.hostFacts.rights?.ignoredLabels ?? 0)
  metrics.set('dnsCacheEntries', {}, view.dns?.cacheEntries ?? 0)
  const upstreams = view.dns?.upstreams ?? []
  const upstreamSeries = upstreams.map(({ server, up }) => ({ labels: { server }, value: Number(up) }))
  metrics.replace('dnsUpstream', upstreamSeries)
  const backend = `iptables-${flavour ?? 'unknown'}`
  const build = { version: VERSION, backend, engine: host.engine?.version ?? 'unknown' }
  metrics.replace('buildInfo', [{ labels: build, value: 1 }])
}

/** Rows as series: one field is the value, and those that are labels of the metric are its labels. */
const seriesOf = <Row, Field extends keyof Row>(
  rows: readonly Row[],
  field: Field,
): { labels: Row; value: Row[Field] }[] => rows.map((row) => ({ labels: row, value: row[field] }))

export function statusReport(
  view: StatusSources,
  unprotected: readonly Unprotected[],
  daemonFacts: DaemonFacts,
): StatusReport {
  const { desired, counters, host, guards, flavour } = view
  return {
    daemon: 'running',
    health: daemonFacts.problems.length === 0 ? 'healthy' : 'degraded',
    version: VERSION,
    backend: { flavour: flavour ?? 'unknown', engine: host.engine?.version ?? 'unknown' },
    guards: [
      { guard: 'rules', enforcing: guards.rules, detail: 'the verdict, first in DOCKER-USER or FORWARD' },
      { guard: 'backstop', enforcing: guards.backstop, detail: 'drops what the rules did not approve' },
    ],
    networks: networkRows(view),
    policies: policyRows(desired),
    containers: containerRows(desired),
    names: nameRows(view),
    counters: counters.ruleCounts(desired.dataplane()),
    unprotected,
    resolvers: host.engineConfig.resolvers,
    strayDns: strayDnsOf(view),
    strayRoutes: host.strayRoutes,
    notes: nameNotes(desired.config, host.inventory),
    ...(view.dns ? { dns: view.dns } : {}),
    ...daemonFacts,
  }
}

const nameRows = ({ desired, addressStore }: StatusSources): StatusReport['names'] =>
  addressStore.statuses().map((status) => {
    const untilMs = endOfName(desired.policies.policies, status.name)
    return Number.isFinite(untilMs) ? { ...status, untilMs } : status
  })

const guardedSubnets = (desired: Desired) => desired.hostFacts.plan.guarded.flatMap(({ subnets }) => subnets)

function networkRows({ desired, counters, guards }: StatusSources): StatusReport['networks'] {
  const { guarded, open } = desired.hostFacts.plan
  const isEnforced = guards.rules || guards.backstop
  const denied = counters.deniedCounts(networkNames(desired))
  const deniedBy = (name: string): number =>
    denied.filter(({ network }) => network === name).reduce((sum, { packets }) => sum + packets, 0)
  return [
    ...guarded.map(({ bridge, networkName, internal }) => ({
      name: networkName ?? '',
      bridge,
      guarded: isEnforced,
      why: !isEnforced
        ? 'nothing is enforced: no guard stands'
        : internal
          ? 'internal: the engine lets nothing out'
          : 'guarded',
      deniedPackets: deniedBy(networkName ?? bridge),
    })),
    ...open.map(({ name, why }) => ({ name: '', bridge: name, guarded: false, why, deniedPackets: 0 })),
  ]
}

function policyRows(desired: Desired): StatusReport['policies'] {
  const addresses = addressCounts(desired)
  const countOf = (policy: string, family: 'ipv4' | 'ipv6'): number =>
    addresses.find((row) => row.policy === policy && row.family === family)?.count ?? 0
  return desired.policies.policies.map(({ id, groups, internet }) => ({
    policy: id,
    addresses: { ipv4: countOf(id, 'ipv4'), ipv6: countOf(id, 'ipv6') },
    entries: groups.reduce((sum, { names, cidrs }) => sum + names.size + cidrs.size, internet.length),
  }))
}

function containerRows(desired: Desired): StatusReport['containers'] {
  const { rights, bindings, classOfBridge, plan, hostGroups } = desired.hostFacts
  const bridgeOf = new Map(plan.guarded.map(({ networkId, bridge }) => [networkId, bridge]))
  const bound = new Set(
    classOfBridge || bindings === 'kept' ? [] : bindings?.ports.map(({ address }) => address),
  )
  const policiesOf = new Map(rights?.classes.map(({ id, policies }) => [id, policies]))
  return (rights?.members ?? []).map(({ container, network, networkId, matched, addresses, class: id }) => ({
    container: container.name,
    network,
    rights: policiesOf.get(id ?? 0) ?? [],
    matched,
    bound:
      container.pid === undefined
        ? undefined
        : hostGroups?.held.has(container.id) || addresses.some((address) => bound.has(address)),
    byNetwork: classOfBridge?.has(bridgeOf.get(networkId) ?? '') === true,
  }))
}

function networkNames(desired: Desired): (bridge: string) => string | undefined {
  const names = new Map(
    desired.hostFacts.plan.guarded.map(({ bridge, networkName }) => [bridge, networkName ?? bridge]),
  )
  return (bridge) => names.get(bridge)
}

function addressCounts(desired: Desired): { policy: string; family: 'ipv4' | 'ipv6'; count: number }[] {
  const { policies, membership } = desired
  const ipFamily = (family: Family): 'ipv4' | 'ipv6' => (family === 4 ? 'ipv4' : 'ipv6')
  return policies.policies.flatMap(({ id, groups }) =>
    FAMILIES.map((family) => ({
      policy: id,
      family: ipFamily(family),
      count: groups.reduce((sum, { ports }) => sum + membership.sizeOf(allowSet(id, ports, family)), 0),
    })),
  )
}

function staleNames(addressStore: AddressStore, nowMs: number): { domain: string; seconds: number }[] {
  if (addressStore.counts().stale === 0) return []
  return addressStore
    .statuses()
    .filter(({ state }) => state === 'stale')
    .map(({ name, lastSuccessMs }) => ({ domain: name, seconds: (nowMs - (lastSuccessMs ?? nowMs)) / 1000 }))
}
