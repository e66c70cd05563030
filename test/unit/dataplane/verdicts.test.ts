import { beforeAll, describe, expect, test } from 'vitest'
import { dockerRules, fateOf, packet, planOf, SHOP, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** Packets through the rules as they come back from the kernel: built, rendered, printed by the tool, read again. */

const YAML = `
allow:
  - api.example.com
  - { cidr: 0.0.0.0/0, ports: [8443/tcp] }
  - { cidr: "::/0", ports: [8443/tcp] }
  - { cidr: 198.51.100.0/24, ports: [8000-8100/tcp, icmp] }
  - { domain: db.corp.example, ports: [5432/tcp], private: true }
  - { domain: mail.example.com, ports: [25/tcp] }
  - { to: internet, ports: [9418/tcp] }
  - { cidr: 203.0.113.0/24, ports: [gre] }
never: [203.0.113.66, 2001:db8:bad::/48]
smtp: { rate: 5/minute, burst: 5 }
`
const NAMES = {
  'api.example.com': ['203.0.113.10', '2001:db8::10', '203.0.113.66', '10.1.2.3'],
  'db.corp.example': ['10.0.0.5'],
  'mail.example.com': ['203.0.113.25'],
}
const PLAN = planOf(
  [SHOP, { bridge: 'shopnet' }],
  [
    { name: 'br-lan', index: 7, why: 'not a Docker bridge' },
    { name: 'virbr0', index: 8, why: 'ignored interface' },
  ],
)
const kernel = new FakeKernel()
kernel.links.set(7, 'br-lan').set(8, 'virbr0')

beforeAll(async () => {
  dockerRules(kernel)
  const host = await TestFirewall.start(kernel, {
    yaml: YAML,
    names: NAMES,
    plan: PLAN,
    resolvers: ['198.51.100.53', '169.254.169.253', '2001:db8::53'],
  })
  await host.pass()
})

type Row = readonly [string, Parameters<typeof packet>, 'passes' | 'stopped', RegExp]

const ROWS: readonly Row[] = [
  ['an allowed name', ['203.0.113.10'], 'passes', /allow common/],
  ...[
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '64:ff9b:1:77::6464:64c8',
    '2002:a9fe:a9fe::1',
    '2001::5601:5601',
    '2001:0:a9fe:a9fe::1',
    '::169.254.169.254',
    '::ffff:169.254.169.254',
    '2001:db8::5efe:a9fe:a9fe',
    '64:ff9b::c000:c0',
    '64:ff9b::a83f:8110',
  ].map((address): Row => [`metadata within ${address}`, [address, 8443], 'stopped', /metadata within IPv6/]),
  ['never within NAT64', ['64:ff9b::cb00:7142', 8443], 'stopped', /never: 64:ff9b/],
  ['never within 6to4', ['2002:cb00:7142::1', 8443], 'stopped', /never: 2002/],
  ['NAT64 of what is allowed', ['64:ff9b::cb00:7163', 8443], 'passes', /allow common/],
  ...[
    '64:ff9b::a00:1',
    '64:ff9b::7f00:1',
    '64:ff9b::c612:1',
    '64:ff9b::e000:1',
    '64:ff9b:1::808:808',
    '2002:808:808::1',
    '2001:0:808:808::1',
    '::8.8.8.8',
    '2001:db8::5efe:808:808',
    '100::1',
    '192.0.0.9',
    '192.88.99.1',
    '198.18.0.1',
    '240.0.0.1',
  ].map((address): Row => [
    `${address}, which is not the internet`,
    [address, 9418],
    'stopped',
    /not allowed/,
  ]),
  ['NAT64 of the internet', ['64:ff9b::808:808', 9418], 'passes', /internet/],
  ['an allowed name over IPv6', ['2001:db8::10'], 'passes', /allow common/],
  ['an allowed name on port 80', ['203.0.113.10', 80], 'passes', /allow common/],
  ['an allowed name on another port', ['203.0.113.10', 22], 'stopped', /not allowed by common/],
  ['an allowed name over UDP', ['203.0.113.10', 443, 'udp'], 'stopped', /not allowed/],
  ['nobody', ['203.0.113.99'], 'stopped', /not allowed/],
  ['nobody over IPv6', ['2001:db8::99'], 'stopped', /not allowed/],
  ['the first port of a range', ['198.51.100.7', 8000], 'passes', /allow common/],
  ['the last port of a range', ['198.51.100.7', 8100], 'passes', /allow common/],
  ['the port behind a range', ['198.51.100.7', 8101], 'stopped', /not allowed/],
  ['ping within an allowed network', ['198.51.100.7', undefined, 'icmp'], 'passes', /allow common/],
  ['ping elsewhere', ['203.0.113.10', undefined, 'icmp'], 'stopped', /not allowed/],
  ['a protocol without ports', ['203.0.113.99', undefined, 'gre'], 'passes', /allow common/],
  ['another protocol without ports', ['203.0.113.99', undefined, 'sctp'], 'stopped', /not allowed/],
  ['a private answer of an entry with private', ['10.0.0.5', 5432], 'passes', /allow common/],
  ['a private answer of an entry without', ['10.1.2.3'], 'stopped', /not allowed/],
  ['the whole of IPv4 on a port', ['192.0.2.1', 8443], 'passes', /allow common/],
  ['the upper half of IPv4 on a port', ['223.0.0.1', 8443], 'passes', /allow common/],
  ['the whole of IPv6 on a port', ['fd00:1::1', 8443], 'passes', /allow common/],
  ['metadata, though all of IPv4 is allowed', ['169.254.169.254', 8443], 'stopped', /cloud metadata/],
  ['metadata of Azure', ['168.63.129.16', 8443], 'stopped', /cloud metadata/],
  ['metadata of Alibaba', ['100.100.100.200', 8443], 'stopped', /cloud metadata/],
  ['metadata over IPv6', ['fd00:ec2::254', 8443], 'stopped', /cloud metadata/],
  ['link-local IPv6', ['fe80::1', 8443], 'stopped', /cloud metadata/],
  ['a resolver that is a metadata address', ['169.254.169.253', 53, 'udp'], 'passes', /DNS to/],
  ['its other ports', ['169.254.169.253', 80], 'stopped', /cloud metadata/],
  ['never, though a name resolves to it', ['203.0.113.66'], 'stopped', /never/],
  ['never, though all of IPv4 is allowed', ['203.0.113.66', 8443], 'stopped', /never/],
  ['never over IPv6', ['2001:db8:bad::1', 8443], 'stopped', /never/],
  ['DNS to the resolver', ['198.51.100.53', 53, 'udp'], 'passes', /DNS to/],
  ['DNS over TCP', ['198.51.100.53', 53], 'passes', /DNS to/],
  ['DNS over IPv6', ['2001:db8::53', 53, 'udp'], 'passes', /DNS to/],
  ['DNS to somebody else', ['203.0.113.53', 53, 'udp'], 'stopped', /not allowed/],
  ['mail within the budget to who is allowed', ['203.0.113.25', 25], 'passes', /allow common/],
  ['mail within the budget to another', ['203.0.113.26', 25], 'stopped', /not allowed/],
  ['the internet', ['192.0.2.1', 9418], 'passes', /anything on the internet/],
  ['the internet over IPv6', ['2001:db8::1', 9418], 'passes', /anything on the internet/],
  ['private space, which is not the internet', ['192.168.1.1', 9418], 'stopped', /not allowed/],
  ['shared space, which is not the internet', ['100.64.0.1', 9418], 'stopped', /not allowed/],
  ['local IPv6, which is not the internet', ['fd12::1', 9418], 'stopped', /not allowed/],
  ['never, which is not the internet', ['203.0.113.66', 9418], 'stopped', /never/],
  ['from docker0', ['203.0.113.99', 443, 'tcp', 'docker0'], 'stopped', /not allowed/],
  ['from docker_gwbridge', ['203.0.113.99', 443, 'tcp', 'docker_gwbridge'], 'stopped', /not allowed/],
  [
    'from a bridge nobody has heard of',
    ['203.0.113.99', 443, 'tcp', 'br-ffffffffffff'],
    'stopped',
    /not allowed/,
  ],
  ['from a bridge with a name of its own', ['203.0.113.99', 443, 'tcp', 'shopnet'], 'stopped', /not allowed/],
  ['from it to an allowed name', ['203.0.113.10', 443, 'tcp', 'shopnet'], 'passes', /allow common/],
  [
    'from a bridge left alone that is named like ours',
    ['203.0.113.99', 443, 'tcp', 'br-lan'],
    'passes',
    /left alone/,
  ],
  [
    'from a bridge whose name only begins like it',
    ['203.0.113.99', 443, 'tcp', 'br-lan2'],
    'stopped',
    /not allowed/,
  ],
  ['from an ignored interface', ['169.254.169.254', 80, 'tcp', 'virbr0'], 'passes', /left alone/],
]

describe('a packet', () => {
  test.each(ROWS)('to or from %s', (_, at, expected, because) => {
    const outcome = fateOf(kernel, packet(...at))
    expect(outcome.passes ? 'passes' : 'stopped', outcome.path.join('\n')).toBe(expected)
    expect(outcome.path.join('\n')).toMatch(because)
  })

  test('from a custom bridge that nobody has told us of is stopped by the second guard alone', () => {
    const outcome = fateOf(kernel, packet('203.0.113.10', 443, 'tcp', 'shopnet2'))
    expect(outcome).toMatchObject({ rulesPass: true, approved: false, passes: false })
  })

  test('from an uplink is not ours to judge', () => {
    expect(fateOf(kernel, packet('203.0.113.99', 443, 'tcp', 'eth0'))).toMatchObject({
      passes: true,
      path: [],
    })
  })

  test('gets out approved or not at all, whatever it is', () => {
    for (const to of ['203.0.113.10', '192.0.2.1', '10.0.0.5', '169.254.169.254', '2001:db8::1', 'fe80::1'])
      for (const port of [1, 22, 25, 53, 80, 443, 5432, 8000, 8443, 9418, 65_535])
        for (const protocol of ['tcp', 'udp'] as const)
          for (const from of ['docker0', 'br-0123456789ab', 'shopnet']) {
            const { verdict, approved } = fateOf(kernel, packet(to, port, protocol, from))
            expect(verdict === 'returned').toBe(approved)
          }
  })
})
