import { describe, expect, test } from 'vitest'
import { classMark, DEFAULT_MARKS } from '../../../src/config/marks.ts'
import type { Assignment } from '../../../src/policy/classes.ts'
import { dockerRules, packet, reachesHost, TestFirewall, type World } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** First packets to the host itself, through the rules as they come back from the kernel. */
const HOST = '192.0.2.2'
const HOST6 = '2001:db8:1::2'
const EVERYWHERE = { '0.0.0.0/1,tcp:8080': 'c1', '128.0.0.0/1,tcp:8080': 'c1', '8000::/1,tcp:8080': 'c1' }
const ALONE = { '127.0.0.1,tcp:6000': 'c3', '::1,tcp:6000': 'c3' }
const PUBLISHED = { ...EVERYWHERE, ...ALONE, '::/1,tcp:8080': 'c1', '192.0.2.9,udp:5000': 'c2' }

async function hostUnder(guard: string, more: Omit<World, 'yaml'> = {}): Promise<FakeKernel> {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const firewall = await TestFirewall.start(kernel, {
    yaml: `guard: ${guard}\n`,
    published: PUBLISHED,
    ...more,
  })
  await firewall.pass()
  expect((await firewall.pass()).outcome).toBe('unchanged')
  return kernel
}

type To = Parameters<typeof packet>
const NODE_EXPORTER: To = [HOST, 9100]
const ROWS: readonly (readonly [string, To, readonly string[]])[] = [
  ['a ping', [HOST, undefined, 'icmp'], ['default', 'ping', 'all']],
  ['a ping over IPv6', [HOST6, undefined, 'icmp'], ['default', 'ping', 'all']],
  ['a published port', [HOST, 8080], ['default', 'all']],
  ['a published port over IPv6', [HOST6, 8080], ['default', 'all']],
  ['the port over another protocol', [HOST, 8080, 'udp'], ['all']],
  ['a port that is published on one address', ['192.0.2.9', 5000, 'udp'], ['default', 'all']],
  ['the same port on another address', [HOST, 5000, 'udp'], ['all']],
  ['a port published to the host alone', ['127.0.0.1', 6000], ['all']],
  ['a port published to the host alone, over IPv6', ['::1', 6000], ['all']],
  ['a published port by the loopback of the host', ['127.0.0.1', 8080], ['all']],
  ["Docker's API", [HOST, 2375], ['all']],
  ['SSH', [HOST, 22], ['all']],
  ['SSH over IPv6', [HOST6, 22], ['all']],
  ['node exporter', NODE_EXPORTER, ['ports', 'all']],
  ['node exporter over IPv6', [HOST6, 9100], ['ports', 'all']],
  ['a port in a range', [HOST, 7005, 'udp'], ['ports', 'all']],
  ['a protocol without ports', [HOST, undefined, 'gre'], ['all']],
  ['DNS of the host', ['192.0.2.53', 53, 'udp'], ['default', 'ping', 'ports', 'nothing', 'all']],
  ['DNS of the host over TCP', ['192.0.2.53', 53], ['default', 'ping', 'ports', 'nothing', 'all']],
  ['DNS on another address', [HOST, 53, 'udp'], ['all']],
  ['metadata', ['169.254.170.2', 80], []],
  ['another bridge of nobody', [HOST, 22, 'tcp', 'lxdbr0'], ['default', 'ping', 'ports', 'nothing', 'all']],
]

describe.each([
  ['default', '{}'],
  ['ping', '{ hostServices: [icmp] }'],
  ['ports', '{ hostServices: [9100/tcp, 7000-7010/udp] }'],
  ['nothing', '{ hostServices: [] }'],
  ['all', '{ hostServices: all }'],
])('%s', (name, guard) => {
  test.each(ROWS)('%s', async (_, to, reachedBy) => {
    const kernel = await hostUnder(guard, { resolvers: ['192.0.2.53'] })
    expect(reachesHost(kernel, packet(...to))).toBe(reachedBy.includes(name))
  })
})

describe('a published port is a relay', () => {
  const RIGHTS: Omit<Assignment, 'unknown'> = {
    classes: [
      { id: 1, key: '1', policies: ['common'], metadata: false, smtp: undefined, denyWith: 'drop' },
      { id: 2, key: '2', policies: ['common', 'shop'], metadata: false, smtp: undefined, denyWith: 'drop' },
      { id: 3, key: '3', policies: ['pay'], metadata: false, smtp: undefined, denyWith: 'drop' },
      { id: 4, key: '4', policies: [], metadata: false, smtp: undefined, denyWith: 'drop' },
    ],
    members: [],
    ignoredLabels: 0,
  }
  const reaches = (kernel: FakeKernel, id: number, to: To): boolean =>
    reachesHost(kernel, { ...packet(...to), mark: classMark(DEFAULT_MARKS, id) })

  test.each([
    ['common', [0, 1, 2]],
    ['deny', [1, 2]],
  ] as const)('for whom, where unknown sources get %s', async (unknown, allowed) => {
    const guard = '{ hostServices: [icmp, published, 9100/tcp] }'
    const kernel = await hostUnder(guard, { rights: { ...RIGHTS, unknown } })
    const ids = [0, 1, 2, 3, 4]
    expect(ids.filter((id) => reaches(kernel, id, [HOST, 8080]))).toEqual(allowed)
    expect(ids.filter((id) => reaches(kernel, id, [HOST6, 8080]))).toEqual(allowed)
    // What is listed by its port is nobody's relay.
    expect(ids.filter((id) => reaches(kernel, id, NODE_EXPORTER))).toEqual(ids)
  })
})

test('containers that come and go change elements and no rule', async () => {
  const kernel = await hostUnder('{}')
  const before = kernel.rules[4].save()
  const other = { '192.0.2.9,tcp:9000': 'c3' }
  const firewall = await TestFirewall.start(kernel, { yaml: 'guard: {}\n', published: other })
  await firewall.pass()
  expect(kernel.rules[4].save()).toBe(before)
  expect(reachesHost(kernel, packet('192.0.2.9', 9000))).toBe(true)
  expect(reachesHost(kernel, packet(HOST, 8080))).toBe(false)
})
