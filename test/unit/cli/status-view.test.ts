import { describe, expect, it } from 'vitest'
import { renderStatus } from '../../../src/cli/status-view.ts'
import { renderTable } from '../../../src/cli/table.ts'
import { formatBytes, formatSpan } from '../../../src/cli/units.ts'
import { healthyReport, REPORT_TIME_MS } from '../../support/status-report.ts'

const view = (report = healthyReport, color = false): string =>
  renderStatus(report, { nowMs: REPORT_TIME_MS, color })

describe('status for people', () => {
  it('shows everything of a healthy host', () =>
    expect(view()).toBe(`\
embargod 0.1.0: healthy (pid 4711, up 3h10m)
  config:     /etc/embargod/embargod.yaml, loaded 5m ago
  docker:     connected (engine 28.5.2, iptables nft)
  last pass:  applied, 2m ago
  verified:   never

GUARDS
GUARD     ENFORCING  DETAIL
rules     yes        first in DOCKER-USER
backstop  yes        table inet embargod

NETWORKS
NETWORK       BRIDGE           GUARDED  DENIED PACKETS  WHY
shop_default  br-0123456789ab  yes               1,234
lab           br-lab           NO                    0  in guard.except

POLICIES
POLICY  ENTRIES  IPV4  IPV6
common        4    12     3

CONTAINERS
CONTAINER   NETWORK       RIGHTS       BY                  HELD
shop-web-1  shop_default  common shop  shop: compose shop  yes

RESOLVERS
CONTAINERS MAY ASK  NAMED BY
198.51.100.1        host

TEMPORARY
ENTRY              REMAINING  UNTIL
b.example.com:443  1h         2026-01-02T13:00:00.000Z

NAMES
NAME             STATE  ANSWERED  ADDRESS      AGE  REMAINING  NOTE
api.example.com  fresh  1m ago    203.0.113.7  1m   14m        refused 10.0.0.1
                                  2001:db8::7  30m  kept

COUNTERS
POLICY  RULE     ACTION  FAMILY  PACKETS     BYTES
common  default  drop    ipv4      1,234  72.3 KiB

DRIFT
PUT RIGHT  TIMES
jump           2
last repair 1h ago

NOT PROTECTED
REASON      SUBJECT    WHAT TO DO
dns-tunnel  this host  switch the DNS gateway on
`))

  it('says when the right to a name ends', () => {
    const names = healthyReport.names.map((one) => ({ ...one, untilMs: REPORT_TIME_MS + 3_600_000 }))
    expect(view({ ...healthyReport, names })).toContain('14m        allowed until 2026-01-02T13:00:00.000Z')
  })

  it('puts what is wrong first', () => {
    const text = view({
      ...healthyReport,
      headline: 'degraded: Docker does not answer since 12:00',
      health: 'degraded',
      problems: ['Docker does not answer since 12:00'],
      config: { ...healthyReport.config, lastReloadSuccessful: false },
      docker: { connected: false, error: 'no such file' },
    })
    expect(text).toMatch(/^degraded: Docker does not answer since 12:00\nembargod 0\.1\.0: degraded /)
    expect(text).toContain('REFUSED')
    expect(text).toContain('not connected: no such file')
    expect(text.indexOf('- Docker does not answer')).toBeLessThan(text.indexOf('GUARDS'))
  })

  it('says what is so without a daemon, and that the rest is unknown', () => {
    const text = view({
      ...healthyReport,
      headline: 'NOTHING IS ENFORCED: containers reach anything',
      daemon: 'not-running',
      health: 'degraded',
      pid: undefined,
      startedAtMs: undefined,
      networks: healthyReport.networks.map((one) => ({ ...one, guarded: false, deniedPackets: null })),
      names: healthyReport.names.map((one) => ({ ...one, lastSuccessMs: undefined })),
      lastReconcile: null,
      lastVerified: null,
      drift: { repairs: null, lastRepairMs: null },
      dns: { port: 10053, cacheEntries: null, upstreams: null, outcomes: null },
    })
    expect(text).toMatch(/^NOTHING IS ENFORCED: containers reach anything\nembargod 0\.1\.0: not running\n/)
    expect(text).toMatch(/last pass: {2}unknown\n {2}verified: {3}unknown\n/)
    expect(text).toMatch(/shop_default +br-0123456789ab +NO +\?/)
    expect(text).toMatch(/api\.example\.com +fresh +\? /)
    expect(text).toMatch(/DRIFT\nunknown/)
    expect(text).toMatch(/cache: +unknown\n +questions: +unknown/)
    expect(text).not.toContain('never')
  })

  it('passes nothing on that steers a terminal', () => {
    const evil = 'x\x1b[2J\u202e\x9b'
    const [network] = healthyReport.networks
    const text = view({
      ...healthyReport,
      headline: evil,
      health: 'degraded',
      problems: [evil],
      version: evil,
      config: { ...healthyReport.config, file: evil },
      docker: { connected: false, error: evil },
      networks: network ? [{ ...network, name: evil, why: evil }] : [],
      unprotected: [{ reason: 'privileged', subject: evil, advice: evil }],
    })
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })

  it('colours only when asked', () => {
    expect(view(healthyReport, true)).toContain('\x1b[32mhealthy\x1b[0m')
    expect(view()).not.toContain('\x1b')
  })
})

it('a table aligns words left and numbers right', () =>
  expect(
    renderTable(
      ['name', 'n'],
      [
        ['a', '1'],
        ['long', '1,000'],
      ],
    ),
  ).toBe('NAME      N\na         1\nlong  1,000\n'))

it.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1536, '1.5 KiB'],
  [5 * 1024 ** 4, '5.0 TiB'],
  [5000 * 1024 ** 4, '5000.0 TiB'],
])('%i bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

it.each([
  [0, '0s'],
  [-5, '0s'],
  [61_000, '1m1s'],
  [90_061_000, '1d1h'],
])('%i ms are %s', (ms, text) => expect(formatSpan(ms)).toBe(text))
