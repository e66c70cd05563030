import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { reached } from './reach.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** What Prometheus is told after a day's work in miniature. */
const lab = useLab({ name: 'metrics' })

const CONFIG = `
allow:
  - allowed.example
  - one.example:443
  - two.example:443
  - failing.example
  - mail.example:25
never: [203.0.113.192/26]
smtp: { rate: 5/minute, burst: 3 }
resolver: { refresh: { min: 1s, max: 2s } }
`

/** The contract: every metric with its labels; those whose series may be absent are marked. */
const CONTRACT: readonly (readonly [name: string, type: string, ...labels: string[]])[] = [
  ['enforcing', 'gauge', 'guard'],
  ['rule_packets_total', 'counter', 'family', 'policy', 'rule', 'action'],
  ['rule_bytes_total', 'counter', 'family', 'policy', 'rule', 'action'],
  ['denied_packets_total', 'counter', 'policy', 'network', 'reason'],
  ['domain_connections_total', 'counter', 'policy', 'domain', 'family'],
  ['addresses', 'gauge', 'policy', 'family'],
  ['names', 'gauge', 'state'],
  ['name_stale_seconds', 'gauge', 'domain'],
  ['resolve_total', 'counter', 'outcome'],
  ['resolve_duration_seconds', 'histogram'],
  ['reconcile_total', 'counter', 'trigger', 'outcome'],
  ['reconcile_duration_seconds', 'histogram'],
  ['drift_repairs_total', 'counter', 'kind'],
  ['docker_connected', 'gauge'],
  ['docker_events_total', 'counter', 'type', 'action'],
  ['networks', 'gauge', 'guarded'],
  ['unprotected', 'gauge', 'reason'],
  ['last_reconcile_timestamp_seconds', 'gauge'],
  ['last_verified_timestamp_seconds', 'gauge'],
  ['config_last_reload_successful', 'gauge'],
  ['build_info', 'gauge', 'version', 'backend', 'engine'],
  ['start_hold_seconds', 'histogram'],
  ['start_hold_total', 'counter', 'outcome'],
]

const UNPROTECTED =
  'host-network macvlan ipvlan rootless docker-socket-mounted privileged netadmin-on-host bridge-uplink ' +
  'mixed-bridge dns-tunnel smtp-any published-inbound no-second-guard engine-backend foreign-bridge open-policy'

let daemon: Daemon
let shop: LabContainer
let plain: LabContainer

const page = async (path = '/metrics'): Promise<{ status: number; body: string }> => {
  const { stdout } = await lab().host([
    ...(['curl', '-s', '--max-time', '5', '-w', '\n%{http_code}'] as const),
    `http://127.0.0.1:9464${path}`,
  ])
  const cut = stdout.lastIndexOf('\n')
  return { body: stdout.slice(0, cut), status: Number(stdout.slice(cut + 1)) }
}
const value = async (name: string, labels: Record<string, string> = {}): Promise<number> =>
  (await scrape(lab())).value(name, labels) ?? 0

beforeAll(async () => {
  await lab().inet.dns({
    'one.example': { a: ['203.0.113.90'], ttl: 1 },
    'two.example': { a: ['203.0.113.90'], ttl: 1 },
    'failing.example': { a: ['203.0.113.91'], ttl: 1 },
  })
  await lab().network('shop', { ipv6: true })
  shop = await lab().container({ network: 'shop' })
  plain = await lab().container()
  daemon = await lab().daemon({ config: CONFIG })
  await lab().waitFor('all names are resolved', async () => (await value('names', { state: 'fresh' })) === 5)
})

test('denials are counted by network and reason, connections by name', async () => {
  await lab().inet.dns({ 'failing.example': { rcode: 'SERVFAIL' } })
  expect((await fetchPage(shop, 'http://203.0.113.90:443/')).code).toBe(0)
  expect((await fetchPage(plain, 'http://allowed.example/')).code).toBe(0)
  await reached(shop, ['http://203.0.113.66/', 'http://203.0.113.200/', 'http://169.254.169.254/'], {
    seconds: 1,
  })
  await reached(plain, ['http://203.0.113.67/'], { seconds: 1 })
  const mails = Array.from({ length: 8 }, () => 'telnet://203.0.113.25:25')
  await reached(shop, mails, { seconds: 1 })
  const denied = (network: string, reason: string) => value('denied_packets_total', { network, reason })
  for (const [network, reason] of [
    ['shop', 'policy'],
    ['shop', 'never'],
    ['shop', 'metadata'],
    ['shop', 'smtp'],
    ['bridge', 'policy'],
  ] as const) {
    await lab().waitFor(`${reason} of ${network}`, async () => (await denied(network, reason)) > 0, 40_000)
  }
  expect(await denied('bridge', 'metadata')).toBe(0)
  expect(await denied('bridge', 'smtp')).toBe(0)
  // Two names on one address: a connection to it counts for each.
  const connections = (domain: string) =>
    value('domain_connections_total', { domain, policy: 'common', family: 'ipv4' })
  await lab().waitFor('connections are counted', async () => (await connections('one.example')) > 0, 40_000)
  expect(await connections('one.example')).toBe(1)
  expect(await connections('two.example')).toBe(1)
  expect(await connections('failing.example')).toBe(0)
  await lab().waitFor(
    'the failing name is stale',
    async () => (await value('name_stale_seconds', { domain: 'failing.example' })) > 0,
    40_000,
  )
  expect(await value('names', { state: 'stale' })).toBe(1)
})

test('the series of a removed network go', async () => {
  const guarded = await value('networks', { guarded: 'true' })
  const network = await lab().network('brief')
  const container = await lab().container({ network: 'brief' })
  await lab().waitFor(
    'brief is guarded',
    async () => (await value('networks', { guarded: 'true' })) === guarded + 1,
  )
  await reached(container, ['http://203.0.113.68/'], { seconds: 1 })
  const series = async () => (await scrape(lab())).value('denied_packets_total', { network: 'brief' })
  await lab().waitFor('its denial is counted', async () => ((await series()) ?? 0) > 0, 40_000)
  await container.stop()
  await network.remove()
  await lab().waitFor('its series are gone', async () => (await series()) === undefined, 40_000)
  expect(await value('networks', { guarded: 'true' })).toBe(guarded)
  expect(await value('docker_events_total', { type: 'network', action: 'destroy' })).toBeGreaterThan(0)
})

test('every metric of the contract is there with its labels, and promtool finds no fault', async () => {
  await lab().host(['iptables', '-F', 'EMBARGOD-P-COMMON'])
  await lab().waitFor('the repair is counted', async () => (await value('drift_repairs_total')) > 0)
  const { body, status } = await page()
  expect(status).toBe(200)
  const { samples } = await scrape(lab())
  for (const [name, type, ...labels] of CONTRACT) {
    expect(body).toContain(`# TYPE embargod_${name} ${type}\n`)
    const own = samples.filter((sample) =>
      type === 'histogram' ? sample.name === `embargod_${name}_count` : sample.name === `embargod_${name}`,
    )
    expect(own.length, name).toBeGreaterThan(0)
    for (const sample of own) expect(Object.keys(sample.labels).toSorted(), name).toEqual(labels.toSorted())
  }
  const reasons = samples.filter(({ name }) => name === 'embargod_unprotected')
  expect(reasons.map(({ labels }) => labels['reason']).toSorted()).toEqual(UNPROTECTED.split(' ').toSorted())
  expect(samples.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['process_cpu_seconds_total', 'process_resident_memory_bytes']),
  )
  expect(await value('enforcing', { guard: 'rules' })).toBe(1)
  expect(await value('enforcing', { guard: 'backstop' })).toBe(1)
  expect(await value('unprotected', { reason: 'dns-tunnel' })).toBe(1)
  expect(await value('build_info', { backend: 'iptables-nft' })).toBe(1)

  const promtool = await lab().host(['promtool', 'check', 'metrics'], { input: body, okExitCodes: [1, 3] })
  expect(promtool).toEqual({ exitCode: 0, stdout: '', stderr: '' })
})

test('counters go on over a restart', async () => {
  const names = ['rule_packets_total', 'rule_bytes_total', 'denied_packets_total', 'domain_connections_total']
  const counted = async () => {
    const now = await scrape(lab())
    return names.flatMap((name) => [...now.series(name)].map(([labels, n]) => [name + labels, n] as const))
  }
  const before = await counted()
  expect(before.some(([, n]) => n > 0)).toBe(true)
  await daemon.term()
  daemon = await lab().daemon({ config: CONFIG })
  const after = new Map(await counted())
  for (const [series, n] of before) if (n > 0) expect(after.get(series), series).toBeGreaterThanOrEqual(n)
})

test('a scrape never reads the kernel', async () => {
  // Fifty scrapes by one program; the namespace's last process id says how many processes and threads were born.
  const count = 'cat /proc/sys/kernel/ns_last_pid'
  const scrapes = `curl -sf --max-time 20 -o /dev/null 'http://127.0.0.1:9464/metrics?[1-50]'`
  const { stdout } = await lab().host(['sh', '-c', `${count}; ${scrapes} || exit 1; ${count}`])
  const [first = 0, last = 0] = stdout.trim().split('\n').map(Number)
  expect(last).toBeGreaterThan(first)
  // The passes of the daemon's own clock go on meanwhile.
  expect(last - first).toBeLessThan(25)
})

const RATE = 'sum by (network) (rate(embargod_denied_packets_total[1m]))'

test('a real Prometheus scrapes it', async () => {
  const folder = join(lab().directory, 'prometheus')
  await lab().host(['mkdir', '-p', folder])
  const target = "static_configs: [{ targets: ['127.0.0.1:9464'] }]"
  await lab().writeHostFile(
    join(folder, 'prometheus.yml'),
    `global: { scrape_interval: 1s }\nscrape_configs:\n  - job_name: embargod\n    ${target}\n`,
  )
  const prometheus = lab().service('host', [
    'prometheus',
    `--config.file=${folder}/prometheus.yml`,
    `--storage.tsdb.path=${folder}/data`,
    '--web.listen-address=127.0.0.1:9090',
  ])
  const Answer = z.object({
    data: z.object({
      result: z.array(
        z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) }),
      ),
    }),
  })
  const query = async (expression: string) => {
    const { stdout } = await lab().host(
      ['curl', '-sG', '--data-urlencode', `query=${expression}`, 'http://127.0.0.1:9090/api/v1/query'],
      { okExitCodes: [7, 52, 56] },
    )
    if (!stdout.startsWith('{"status":"success"')) return []
    return Answer.parse(JSON.parse(stdout)).data.result
  }
  await lab().waitFor(
    `the target is up\n${prometheus.log}`,
    async () => (await query('up{job="embargod"}'))[0]?.value[1] === '1',
    30_000,
  )
  const enforcing = await query('embargod_enforcing')
  expect(enforcing.map(({ metric, value: [, v] }) => [metric['guard'], v]).toSorted()).toEqual([
    ['backstop', '1'],
    ['rules', '1'],
  ])
  await lab().waitFor('a rate of denials', async () => (await query(RATE)).length > 0, 30_000)
  await prometheus.stop()
})

test('/healthz lives, /readyz says what is wrong, and so does the page', async () => {
  expect(await page('/healthz')).toMatchObject({ status: 200 })
  expect(await page('/readyz')).toMatchObject({ status: 200 })
  expect((await page('/')).status).toBe(404)
  await lab().engine.stop()
  await lab().waitFor('the loss of the engine shows', async () => (await page('/readyz')).status === 503)
  const { body } = await page('/readyz')
  const answer: unknown = JSON.parse(body)
  expect(answer).toMatchObject({ ready: false, reasons: [expect.stringMatching(/Docker/)] })
  expect((await page('/healthz')).status).toBe(200)
  expect(await value('docker_connected')).toBe(0)
  expect(await value('enforcing', { guard: 'rules' })).toBe(1)
  await lab().engine.start()
  await lab().waitFor('the engine is back', async () => (await page('/readyz')).status === 200, 40_000)
  expect(await value('docker_connected')).toBe(1)
  await daemon.hup('nonsense: 1')
  await lab().waitFor('a refused file shows', async () => (await page('/readyz')).status === 503)
  expect(await value('config_last_reload_successful')).toBe(0)
  await daemon.hup(CONFIG)
  await lab().waitFor('a good file heals', async () => (await page('/readyz')).status === 200)
})
