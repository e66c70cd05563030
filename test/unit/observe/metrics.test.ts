import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CATALOGUE, renderMetricsReference, UNPROTECTED_REASONS } from '../../../src/observe/catalogue.ts'
import { eventLabels } from '../../../src/observe/docker-events.ts'
import { Metrics } from '../../../src/observe/metrics.ts'
import { needsTool } from '../../support/needs-tool.ts'

const rule = (name: string) => ({
  family: 'ipv4' as const,
  policy: 'common',
  rule: name,
  action: 'deny',
})

/** Sample lines of one metric, sorted. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const page = await metrics.render()
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .toSorted()
}

/** Every metric has a value, odd ones among them. */
function filled(): Metrics {
  const metrics = new Metrics()
  metrics.set('enforcing', { guard: 'rules' }, 1)
  const judge = { family: 'ipv4', policy: 'common', rule: 'embargod-judge/never', action: 'deny' } as const
  const allow = { family: 'ipv6', policy: 'shop', rule: 'embargod-judge/allow', action: 'allow' } as const
  const odd = { ...allow, rule: 'odd' }
  metrics.replace('rulePackets', [
    { labels: judge, value: 5 },
    { labels: allow, value: 7 },
    { labels: odd, value: Number.NaN },
  ])
  metrics.replace('ruleBytes', [
    { labels: judge, value: 300 },
    { labels: allow, value: 420 },
    { labels: odd, value: -1 },
  ])
  metrics.replace('denied', [
    { labels: { policy: 'common+shop', network: 'shop', reason: 'metadata' }, value: 3 },
    { labels: { policy: 'unknown', network: 'a"\n\x1b\u202e', reason: 'default' }, value: 4 },
  ])
  metrics.replace('forgedFrames', [
    { labels: { kind: 'forged' }, value: 2 },
    { labels: { kind: 'claimed' }, value: 1 },
  ])
  metrics.set('ignoredLabels', {}, 3)
  metrics.replace('domainConnections', [
    { labels: { policy: 'common', domain: 'api.example.com', family: 'ipv6' }, value: 2 },
  ])
  metrics.replace('addresses', [
    { labels: { policy: 'common', family: 'ipv4' }, value: 12 },
    { labels: { policy: 'common', family: 'ipv6' }, value: 0 },
  ])
  metrics.set('names', { state: 'fresh' }, 1)
  metrics.set('names', { state: 'stale' }, 1)
  metrics.replace('nameStale', [{ labels: { domain: 'old.example.com' }, value: 61.5 }])
  metrics.inc('lookups', { outcome: 'timeout' })
  metrics.inc('lookups', { outcome: 'refused_range' })
  metrics.observe('lookupDuration', 0.02)
  metrics.observe('lookupDuration', 7)
  metrics.queries.add({ policy: 'common', outcome: 'cached', type: 'A' })
  metrics.queries.add({ policy: 'shop', outcome: 'answered', type: 'AAAA' })
  metrics.queries.add({ policy: 'common', outcome: 'denied', type: 'A' })
  metrics.queries.add({ policy: 'common', outcome: 'cached', type: 'AAAA' })
  metrics.queries.add({ policy: 'common', outcome: 'cached', type: 'A' })
  for (let times = 0; times < 5; times += 1) metrics.observe('dnsDuration', 0.0015)
  metrics.inc('dnsHeld', {})
  metrics.set('dnsCacheEntries', {}, 42)
  metrics.replace('dnsUpstream', [
    { labels: { server: '192.0.2.53:53' }, value: 1 },
    { labels: { server: 'dns.example' }, value: 0 },
  ])
  metrics.inc('startHold', { outcome: 'known' })
  metrics.observe('startHoldDuration', 0.012)
  metrics.inc('startHold', { outcome: 'overflow' })
  metrics.observe('startHoldDuration', 0)
  metrics.inc('reconciles', { trigger: 'drift', outcome: 'applied' })
  metrics.inc('reconciles', { trigger: 'start', outcome: 'failed' })
  metrics.observe('reconcileDuration', 0.03)
  metrics.inc('driftRepairs', { kind: 'jump' })
  metrics.inc('driftRepairs', { kind: 'rules' }, 0)
  metrics.set('dockerConnected', {}, 1)
  metrics.inc('dockerEvents', eventLabels('network', 'create'))
  metrics.inc('dockerEvents', eventLabels('container', 'exec_create: sh -c x'))
  metrics.inc('dockerEvents', eventLabels('odd', 'x'))
  metrics.set('networks', { guarded: 'true' }, 2)
  metrics.set('networks', { guarded: 'false' }, 1)
  metrics.set('unprotected', { reason: 'dns-tunnel' }, 1)
  metrics.set('unprotected', { reason: 'privileged' }, 2)
  metrics.set('lastReconcile', {}, 1_800_000_000)
  metrics.set('lastVerified', {}, 1_800_000_001)
  metrics.replace('proof', [
    { labels: { network: 'shop' }, value: 1 },
    { labels: { network: 'b\u202e' }, value: 0 },
  ])
  metrics.set('configReload', {}, 0)
  metrics.replace('buildInfo', [
    { labels: { version: '0.1.0', backend: 'nft', engine: '28.5\x1b' }, value: 1 },
  ])
  return metrics
}

function changeLater(metrics: Metrics): void {
  metrics.queries.add({ policy: 'later', outcome: 'cached', type: 'A' })
  metrics.queries.add({ policy: 'common', outcome: 'failed', type: 'A' })
  for (let times = 0; times < 2; times += 1) metrics.observe('dnsDuration', 0.001)
  for (const key of ['proof', 'dnsUpstream', 'nameStale', 'denied'] as const) metrics.replace(key, [])
  metrics.set('dnsCacheEntries', {}, 0)
  metrics.set('names', { state: 'fresh' }, 2)
  metrics.set('names', { state: 'stale' }, 0)
  for (const reason of UNPROTECTED_REASONS) metrics.set('unprotected', { reason }, 0)
  metrics.set('enforcing', { guard: 'backstop' }, 1)
  metrics.replace('forgedFrames', [
    { labels: { kind: 'forged' }, value: 3 },
    { labels: { kind: 'claimed' }, value: 1 },
  ])
  metrics.replace('buildInfo', [
    { labels: { version: '0.1.0', backend: 'legacy', engine: '28.5' }, value: 1 },
  ])
}

/** The page without the metrics of the process. */
async function ourPage(metrics: Metrics): Promise<string> {
  const lines = (await metrics.render()).split('\n')
  return lines.filter((line) => /^(# (HELP|TYPE) )?embargod_/.test(line)).join('\n')
}

describe('Metrics', () => {
  it('passes promtool with every metric filled', async (context) => {
    needsTool('promtool')(context)
    const page = await filled().render()
    for (const { name } of Object.values(CATALOGUE)) expect(page).toContain(`# TYPE ${name} `)
    const verdict = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })
    expect(verdict.error).toBeUndefined()
    expect(verdict.stderr + verdict.stdout).toBe('')
    expect(verdict.status).toBe(0)
  })

  it('shows the same page for the same facts, byte by byte', async () => {
    const metrics = filled()
    const pages = [await ourPage(new Metrics()), await ourPage(metrics)]
    changeLater(metrics)
    pages.push(await ourPage(metrics))
    const [fresh, full, later] = pages
    const text = `## fresh\n${fresh}\n## filled\n${full}\n## later\n${later}\n`
    const file = new URL('../../golden/metrics.prom', import.meta.url)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text)
    expect(text).toBe(readFileSync(file, 'utf8'))
  })

  it('takes totals as they are and forgets series that are no longer listed', async () => {
    const metrics = new Metrics()
    metrics.replace('rulePackets', [
      { labels: rule('never'), value: 5 },
      { labels: rule('smtp'), value: 7 },
    ])
    metrics.replace('rulePackets', [{ labels: rule('never'), value: 9 }])
    expect(await samples(metrics, 'embargod_rule_packets_total')).toEqual([
      'embargod_rule_packets_total{family="ipv4",policy="common",rule="never",action="deny"} 9',
    ])
  })

  it('does not fail on a total that is no number', async () => {
    const metrics = new Metrics()
    metrics.replace('rulePackets', [
      { labels: rule('never'), value: Number.NaN },
      { labels: rule('smtp'), value: -1 },
    ])
    expect(await samples(metrics, 'embargod_rule_packets_total')).toEqual([])
  })

  it('shows the labels of the catalogue, in its order, and none that a row has beside them', async () => {
    const metrics = new Metrics()
    const row = { count: 3, family: 'ipv4', policy: 'common' } as const
    metrics.replace('addresses', [{ labels: row, value: row.count }])
    expect(await samples(metrics, 'embargod_addresses')).toEqual([
      'embargod_addresses{policy="common",family="ipv4"} 3',
    ])
  })

  it('lists every unprotected reason and counts subjects', async () => {
    const lines = await samples(filled(), 'embargod_unprotected')
    expect(lines).toHaveLength(UNPROTECTED_REASONS.length)
    expect(lines).toContain('embargod_unprotected{reason="privileged"} 2')
    expect(lines).toContain('embargod_unprotected{reason="dns-tunnel"} 1')
    expect(lines).toContain('embargod_unprotected{reason="macvlan"} 0')
  })

  it('drops the age of a name that is fresh again', async () => {
    const metrics = filled()
    metrics.replace('nameStale', [])
    expect(await samples(metrics, 'embargod_name_stale_seconds')).toEqual([])
  })

  it('has look-up outcomes before the first look-up', async () =>
    expect(await samples(new Metrics(), 'embargod_resolve_total')).toContain(
      'embargod_resolve_total{outcome="nxdomain"} 0',
    ))

  it('keeps event labels bounded whatever the engine says', async () => {
    const metrics = new Metrics()
    metrics.inc('dockerEvents', eventLabels('container', 'exec_create: sh -c "secret"'))
    metrics.inc('dockerEvents', eventLabels('container', 'sing'))
    metrics.inc('dockerEvents', eventLabels('constructor', 'create'))
    expect(await samples(metrics, 'embargod_docker_events_total')).toEqual([
      'embargod_docker_events_total{type="container",action="exec_create"} 1',
      'embargod_docker_events_total{type="container",action="other"} 1',
      'embargod_docker_events_total{type="other",action="other"} 1',
    ])
  })

  it('shows a hostile network name harmless', async () => {
    const metrics = new Metrics()
    const labels = { policy: 'common', network: 'a"\n\x1b\u202e', reason: 'default' }
    metrics.replace('denied', [{ labels, value: 1 }])
    expect(await samples(metrics, 'embargod_denied_packets_total')).toEqual([
      String.raw`embargod_denied_packets_total{policy="common",network="a\"\\x0a\\x1b\\u{202e}",reason="default"} 1`,
    ])
  })

  it('has one build at a time', async () => {
    const metrics = filled()
    const labels = { version: '0.1.0', backend: 'legacy', engine: '28.5' }
    metrics.replace('buildInfo', [{ labels, value: 1 }])
    expect(await samples(metrics, 'embargod_build_info')).toEqual([
      'embargod_build_info{version="0.1.0",backend="legacy",engine="28.5"} 1',
    ])
  })
})

it('the reference names every metric', () => {
  const page = renderMetricsReference()
  for (const { name, help } of Object.values(CATALOGUE)) {
    expect(page).toContain(`\`${name}\``)
    expect(page).toContain(help)
  }
})
