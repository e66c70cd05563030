import { describe, expect, test } from 'vitest'
import type { Flow } from '../../../src/dataplane/flow.ts'
import { Membership } from '../../../src/dataplane/membership.ts'
import { judgeFlows, permission, type RevokeInput } from '../../../src/dataplane/revoke.ts'
import { METADATA, wrappedMetadata } from '../../../src/net/metadata.ts'
import type { Address, Cidr, Hostname } from '../../../src/net/types.ts'
import { rejudge } from '../../../src/reconcile/rejudge.ts'
import { compile } from '../../../src/policy/compile.ts'
import { configOf, heldAddress } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const YAML =
  'allow: [api.example.com, { cidr: 198.51.100.0/24, ports: [any, sctp] }, { to: internet, ports: [9418/tcp] }]\n'

async function input(): Promise<RevokeInput> {
  const policies = compile(await configOf(YAML), [], NOW_MS)
  const membership = new Membership()
  membership.rebuild(policies, new Map(), () => [heldAddress('203.0.113.10'), heldAddress('2001:db8::10')])
  return {
    policies,
    membership,
    resolvers: ['198.18.0.53', '169.254.169.253', '203.0.113.66'] as Address[],
    sources: ['172.18.0.0/16', '172.19.0.0/16', 'fd00:18::/64'] as Cidr[],
    namesThatHad: () =>
      new Map(
        ['203.0.113.11', '203.0.113.66'].map((one) => [
          one as Address,
          new Set(['api.example.com' as Hostname]),
        ]),
      ),
    rightsOf: () => ({ policies: ['common'], metadata: false, smtpAnywhere: [25] }),
    metadata: [...METADATA[4], ...METADATA[6], ...wrappedMetadata({ block: true, extra: [] })],
    never: ['203.0.113.66' as Cidr],
  }
}

const flow = (to: string, port: number | undefined = 443, protocol = 'tcp', from = '172.18.0.5'): Flow => ({
  protocol,
  source: from as Address,
  destination: to as Address,
  port,
  mark: 0,
})

type Row = readonly [string, Flow, 'stays' | 'lingers' | 'revoked']
const ROWS: readonly Row[] = [
  ['to an address that a name holds', flow('203.0.113.10'), 'stays'],
  ['to metadata within NAT64', flow('64:ff9b::a9fe:a9fe', 9418, 'tcp', 'fd00:18::5'), 'revoked'],
  ['to an address of 6to4', flow('2002:808:808::1', 9418, 'tcp', 'fd00:18::5'), 'revoked'],
  ['to the internet by NAT64', flow('64:ff9b::808:808', 9418, 'tcp', 'fd00:18::5'), 'stays'],
  ['to it over IPv6', flow('2001:db8::10', 443, 'tcp', 'fd00:18::5'), 'stays'],
  ['to it on a port that is not allowed', flow('203.0.113.10', 22), 'revoked'],
  ['to an address that a name held once', flow('203.0.113.11'), 'lingers'],
  ['to it on another port', flow('203.0.113.11', 22), 'revoked'],
  ['to nobody', flow('203.0.113.99'), 'revoked'],
  ['to nobody over UDP', flow('203.0.113.99', 443, 'udp'), 'revoked'],
  ['into an allowed network', flow('198.51.100.9', 1), 'stays'],
  ['into it by another protocol', flow('198.51.100.9', 5, 'sctp'), 'stays'],
  ['of no ports', flow('203.0.113.99', undefined, 'icmp'), 'stays'],
  ['to the internet', flow('192.0.2.9', 9418), 'stays'],
  ['to private space on that port', flow('10.0.0.9', 9418), 'revoked'],
  ['of mail that may go anywhere', flow('203.0.113.99', 25), 'stays'],
  ['to a resolver', flow('198.18.0.53', 53, 'udp'), 'stays'],
  ['to a resolver on another port', flow('198.18.0.53', 853), 'revoked'],
  ['to a resolver that is a metadata address', flow('169.254.169.253', 53, 'udp'), 'stays'],
  ['to another port of it', flow('169.254.169.253', 80), 'revoked'],
  ['of mail to a metadata address', flow('169.254.169.254', 25), 'revoked'],
  ['to never, though a name held it', flow('203.0.113.66'), 'revoked'],
  ['of DNS to a resolver that is never', flow('203.0.113.66', 53, 'udp'), 'revoked'],
  ['from a network that is not guarded', flow('203.0.113.99', 443, 'tcp', '172.20.0.5'), 'stays'],
  ['within one network', flow('172.18.0.6', 5432), 'stays'],
  ['between two networks', flow('172.19.0.6', 5432), 'revoked'],
]

describe('a live connection, when rights change', () => {
  test.each(ROWS)('%s', async (_, one, expected) => {
    const { linger, revoked } = judgeFlows([one], await input())
    const verdict = linger.size > 0 ? 'lingers' : revoked.size > 0 ? 'revoked' : 'stays'
    expect(verdict).toBe(expected)
    if (expected !== 'stays') expect(permission(await input())(one)).toBe(false)
  })

  test('goes by the set of its family, as the kernel writes it', async () => {
    const { revoked } = judgeFlows(
      [flow('203.0.113.99'), flow('2001:db8::99', 53, 'udp', 'fd00:18::5')],
      await input(),
    )
    expect(Object.fromEntries(revoked)).toEqual({
      'embargod-revoked-4': ['172.18.0.5,tcp:443,203.0.113.99'],
      'embargod-revoked-6': ['fd00:18::5,udp:53,2001:db8::99'],
    })
  })

  test('lingers for no longer than the right under which its address was held', async () => {
    const endMs = NOW_MS + 3_600_000
    const ending = `{ domain: api.example.com, until: '${new Date(endMs).toISOString()}' }`
    const lingerOf = async (entries: string) => {
      const policies = compile(await configOf(`allow: [${entries}]\n`), [], NOW_MS)
      const names = new Set(['api.example.com', 'other.example.com'] as Hostname[])
      const namesThatHad = () => new Map([['203.0.113.11' as Address, names]])
      const judged = { ...(await input()), policies, namesThatHad }
      return rejudge([flow('203.0.113.11')], new Map(), judged, NOW_MS).lines
    }
    const line = (seconds: number) => [
      `add embargod-linger-4 172.18.0.5,tcp:443,203.0.113.11 timeout ${seconds} comment "live when its address expired"`,
    ]
    expect(await lingerOf(ending)).toEqual(line(3_600))
    expect(await lingerOf(`${ending}, { domain: other.example.com, ports: [443] }`)).toEqual(line(86_400))
  })
})
