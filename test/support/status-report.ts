import type { StatusReport } from '../../src/control/status.ts'
import type { Address, Hostname } from '../../src/net/types.ts'

export const REPORT_TIME_MS = Date.UTC(2026, 0, 2, 12)
const minutesAgo = (minutes: number): number => REPORT_TIME_MS - minutes * 60_000

/** A daemon that does its work, with one of everything. */
export const healthyReport: StatusReport = {
  headline: 'healthy',
  daemon: 'running',
  health: 'healthy',
  problems: [],
  version: '0.1.0',
  pid: 4711,
  startedAtMs: minutesAgo(190),
  config: {
    file: '/etc/embargod/embargod.yaml',
    loadedAtMs: minutesAgo(5),
    lastReloadSuccessful: true,
    confirmUntilMs: undefined,
  },
  backend: { flavour: 'nft', engine: '28.5.2' },
  docker: { connected: true, error: undefined },
  guards: [
    { guard: 'rules', enforcing: true, detail: 'first in DOCKER-USER' },
    { guard: 'backstop', enforcing: true, detail: 'table inet embargod' },
  ],
  networks: [
    { name: 'shop_default', bridge: 'br-0123456789ab', guarded: true, why: '', deniedPackets: 1234 },
    { name: 'lab', bridge: 'br-lab', guarded: false, why: 'in guard.except', deniedPackets: 0 },
  ],
  policies: [{ policy: 'common', addresses: { ipv4: 12, ipv6: 3 }, entries: 4 }],
  containers: [
    {
      container: 'shop-web-1',
      network: 'shop_default',
      rights: ['common', 'shop'],
      matched: [{ policy: 'shop', why: 'compose shop' }],
      bound: true,
      byNetwork: false,
    },
  ],
  names: [
    {
      name: 'api.example.com' as Hostname,
      state: 'fresh',
      addresses: [
        {
          address: '203.0.113.7' as Address,
          family: 4,
          private: false,
          seenAtMs: minutesAgo(1),
          expiresAtMs: REPORT_TIME_MS + 14 * 60_000,
        },
        {
          address: '2001:db8::7' as Address,
          family: 6,
          private: false,
          seenAtMs: minutesAgo(30),
          expiresAtMs: minutesAgo(15),
        },
      ],
      lastSuccessMs: minutesAgo(1),
      lastError: undefined,
      overCap: 0,
      refused: ['10.0.0.1' as Address],
    },
  ],
  temporary: [{ entry: 'b.example.com:443', untilMs: REPORT_TIME_MS + 3_600_000 }],
  counters: [
    { family: 'ipv4', policy: 'common', rule: 'default', action: 'drop', packets: 1234, bytes: 74_040 },
    { family: 'ipv6', policy: 'common', rule: 'default', action: 'drop', packets: 0, bytes: 0 },
  ],
  drift: { repairs: { jump: 2, element: 0 }, lastRepairMs: minutesAgo(60) },
  lastReconcile: { atMs: minutesAgo(2), outcome: 'applied' },
  lastVerified: undefined,
  resolvers: [{ server: '198.51.100.1' as Address, origin: 'host' }],
  strayDns: [],
  strayRoutes: [],
  notes: [],
  unprotected: [{ reason: 'dns-tunnel', subject: '', advice: 'switch the DNS gateway on' }],
}
