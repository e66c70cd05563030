import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { CATALOGUE, renderMetricsReference, UNPROTECTED_REASONS } from '../../../src/observe/catalogue.ts'
import { Metrics } from '../../../src/observe/metrics.ts'
import { needsTool } from '../../support/needs-tool.ts'

const rule = (packets: number, network = 'never') => ({
  family: 'ipv4' as const,
  policy: 'common',
  rule: network,
  action: 'deny',
  packets,
  bytes: packets * 60,
})

/** Sample lines of one metric, sorted. */
async function samples(metrics: Metrics, name: string): Promise<string[]> {
  const page = await metrics.render()
  return page
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .toSorted()
}

function filled(): Metrics {
  const metrics = new Metrics()
  metrics.setEnforcing('rules', true)
  metrics.setRuleCounters([rule(5)])
  metrics.setDenied([{ policy: 'common', network: 'shop', reason: 'metadata', packets: 3 }])
  metrics.setDomainConnections([
    { policy: 'common', domain: 'api.example.com', family: 'ipv6', connections: 2 },
  ])
  metrics.setAddresses([{ policy: 'common', family: 'ipv4', count: 12 }])
  metrics.setNames({ fresh: 1, stale: 1, failing: 0 }, [{ domain: 'old.example.com', seconds: 61.5 }])
  metrics.countLookup('timeout')
  metrics.observeLookup(0.02)
  metrics.countReconcile('drift', 'applied')
  metrics.observeReconcile(0.03)
  metrics.countDriftRepair('jump')
  metrics.setDockerConnected(true)
  metrics.countDockerEvent('network', 'create')
  metrics.setNetworks(2, 1)
  metrics.setUnprotected([{ reason: 'dns-tunnel' }, { reason: 'privileged' }, { reason: 'privileged' }])
  metrics.setLastReconcile(1_800_000_000)
  metrics.setLastVerified(1_800_000_001)
  metrics.setProofs([{ network: 'shop', passed: true }])
  metrics.setConfigReload(false)
  metrics.setBuildInfo({ version: '0.1.0', backend: 'nft', engine: '28.5' })
  return metrics
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

  it('takes totals as they are and forgets series that are no longer listed', async () => {
    const metrics = new Metrics()
    metrics.setRuleCounters([rule(5), rule(7, 'smtp')])
    metrics.setRuleCounters([rule(9)])
    expect(await samples(metrics, 'embargod_rule_packets_total')).toEqual([
      'embargod_rule_packets_total{family="ipv4",policy="common",rule="never",action="deny"} 9',
    ])
    expect(await samples(metrics, 'embargod_rule_bytes_total')).toEqual([
      'embargod_rule_bytes_total{family="ipv4",policy="common",rule="never",action="deny"} 540',
    ])
  })

  it('does not fail on a total that is no number', async () => {
    const metrics = new Metrics()
    metrics.setRuleCounters([rule(Number.NaN), rule(-1)])
    expect(await samples(metrics, 'embargod_rule_packets_total')).toEqual([])
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
    metrics.setNames({ fresh: 2, stale: 0, failing: 0 }, [])
    expect(await samples(metrics, 'embargod_name_stale_seconds')).toEqual([])
  })

  it('has look-up outcomes before the first look-up', async () =>
    expect(await samples(new Metrics(), 'embargod_resolve_total')).toContain(
      'embargod_resolve_total{outcome="nxdomain"} 0',
    ))

  it('keeps event labels bounded whatever the engine says', async () => {
    const metrics = new Metrics()
    metrics.countDockerEvent('container', 'exec_create: sh -c "secret"')
    metrics.countDockerEvent('container', 'sing')
    metrics.countDockerEvent('constructor', 'create')
    expect(await samples(metrics, 'embargod_docker_events_total')).toEqual([
      'embargod_docker_events_total{type="container",action="exec_create"} 1',
      'embargod_docker_events_total{type="container",action="other"} 1',
      'embargod_docker_events_total{type="other",action="other"} 1',
    ])
  })

  it('shows a hostile network name harmless', async () => {
    const metrics = new Metrics()
    metrics.setDenied([{ policy: 'common', network: 'a"\n\x1b\u202e', reason: 'default', packets: 1 }])
    expect(await samples(metrics, 'embargod_denied_packets_total')).toEqual([
      String.raw`embargod_denied_packets_total{policy="common",network="a\"\\x0a\\x1b\\u{202e}",reason="default"} 1`,
    ])
  })

  it('has one build at a time', async () => {
    const metrics = filled()
    metrics.setBuildInfo({ version: '0.1.0', backend: 'legacy', engine: '28.5' })
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
