import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Lab } from './lab.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'
import { HOST, INET } from './topology.ts'

/** Cloud metadata is refused, whatever the host itself makes of the way there. */
const lab = useLab({ name: 'metadata' })

interface Detour {
  readonly what: string
  /** What the container asks for. */
  readonly origin: string
  readonly make: (host: Lab) => Promise<unknown>
}

const nat = (host: Lab, tool: 'iptables' | 'ip6tables', rule: string) =>
  host.host([tool, '-t', 'nat', '-A', 'PREROUTING', ...rule.split(' ')])

/** Each uses an address of its own, so that all stand side by side. */
const DETOURS: readonly Detour[] = [
  { what: 'straight', origin: origin(INET.metadata), make: async () => undefined },
  { what: 'straight over IPv6', origin: origin(INET.metadata6), make: async () => undefined },
  {
    what: 'an allowed address that the host sends on to metadata',
    origin: origin('203.0.113.101'),
    make: (host) =>
      nat(host, 'iptables', '-d 203.0.113.101 -p tcp --dport 80 -j DNAT --to-destination 169.254.169.254:80'),
  },
  {
    what: 'an allowed IPv6 address that the host sends on to metadata',
    origin: origin('2001:db8:f::101'),
    make: (host) =>
      nat(
        host,
        'ip6tables',
        '-d 2001:db8:f::101 -p tcp --dport 80 -j DNAT --to-destination [fd00:ec2::254]:80',
      ),
  },
  {
    what: 'metadata that the host sends on to an allowed address',
    origin: origin('169.254.170.2'),
    make: (host) =>
      nat(host, 'iptables', '-d 169.254.170.2 -p tcp --dport 80 -j DNAT --to-destination 203.0.113.102:80'),
  },
  {
    what: 'IPv6 metadata that the host sends on to an allowed address',
    origin: origin('fd00:ec2::23'),
    make: (host) =>
      nat(
        host,
        'ip6tables',
        '-d fd00:ec2::23 -p tcp --dport 80 -j DNAT --to-destination [2001:db8:f::102]:80',
      ),
  },
  {
    what: 'a proxy on the host behind DNAT to 127.0.0.1',
    origin: origin('169.254.170.3'),
    make: async (host) => {
      await host.host(['sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1'])
      await nat(
        host,
        'iptables',
        '-d 169.254.170.3 -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:8888',
      )
    },
  },
  {
    what: "a proxy on the host's own address behind REDIRECT",
    origin: origin('169.254.170.4'),
    make: (host) => nat(host, 'iptables', '-d 169.254.170.4 -p tcp --dport 80 -j REDIRECT --to-ports 8888'),
  },
  {
    what: "a proxy on the host's own IPv6 address behind REDIRECT",
    origin: origin('fd00:42::42'),
    make: (host) => nat(host, 'ip6tables', '-d fd00:42::42 -p tcp --dport 80 -j REDIRECT --to-ports 8888'),
  },
  {
    what: 'a metadata server on an address of the host',
    origin: origin('169.254.170.5', 8888),
    make: (host) => host.host(['ip', 'address', 'add', '169.254.170.5/32', 'dev', 'lo']),
  },
  {
    what: 'a metadata server on an IPv6 address of the host',
    origin: origin('fd20:ce::254', 8888),
    make: (host) => host.host(['ip', 'address', 'add', 'fd20:ce::254/128', 'dev', 'lo', 'nodad']),
  },
]
const ORIGINS = DETOURS.map((detour) => detour.origin)
/** No metadata at its end: shows that the proxy is there all the while. */
const HOST_PAGE = origin(HOST.address, 8888)

const NETWORKS = ['bridge', 'shop', 'tailored'] as const
const containers = new Map<string, LabContainer>()

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  await lab().host(['mkdir', '-p', '/run/proxy'])
  await lab().writeHostFile('/run/proxy/index.html', 'credentials\n')
  const proxy = lab().service('host', ['busybox', 'httpd', '-f', '-p', '[::]:8888', '-h', '/run/proxy'])
  afterAll(async () => {
    await proxy.stop()
  })
  for (const detour of DETOURS) await detour.make(lab())
  for (const network of NETWORKS) containers.set(network, await lab().container({ network }))
})

test('without the guard every way leads there', async () => {
  const before = await lab().container({ network: 'shop' })
  expect(await reached(before, [...ORIGINS, HOST_PAGE], { seconds: 8 })).toEqual([...ORIGINS, HOST_PAGE])
})

describe('under the guard', () => {
  beforeAll(async () => {
    // Every way's other end is allowed.
    const cidrs = ['203.0.113.101/32', '203.0.113.102/32', '2001:db8:f::101/128', '2001:db8:f::102/128']
    await lab().daemon({
      config: `guard: { hostServices: all }\nallow: [${cidrs.map((cidr) => `{ cidr: '${cidr}', ports: [80/tcp] }`).join(', ')}]`,
    })
  })

  test.each(NETWORKS)('from network %s none does', async (network) => {
    const container = containers.get(network)
    if (!container) throw new Error(`no container in ${network}`)
    await lab().farEnd.reset()
    expect(await reached(container, [...ORIGINS, HOST_PAGE, origin('203.0.113.102')])).toEqual([
      HOST_PAGE,
      origin('203.0.113.102'),
    ])
    for (const address of [INET.metadata, INET.metadata6])
      expect(await lab().farEnd.count(address), address).toBe(0)
  })

  test('the host itself still reads its metadata', async () => {
    const { stdout } = await lab().host(['curl', '-sS', '--max-time', '5', origin(INET.metadata)])
    expect(stdout).toContain(`hello from ${INET.metadata}`)
  })
})
