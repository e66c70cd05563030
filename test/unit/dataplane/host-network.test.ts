import { describe, expect, test } from 'vitest'
import { classMark, DEFAULT_MARKS } from '../../../src/config/marks.ts'
import { CHAIN } from '../../../src/dataplane/names.ts'
import { trace, type Packet } from '../../../src/dataplane/trace.ts'
import { jumpsTo, readChains } from '../../../src/inspect/ruleset.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import { familyOf, type Address } from '../../../src/net/types.ts'
import type { Assignment } from '../../../src/policy/classes.ts'
import { dockerRules, TestFirewall, type World } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** First packets of containers on the host's network, through the rules as they come back from the kernel. */
const RIGHTS: Assignment = {
  unknown: 'deny',
  classes: [
    { id: 1, key: '1', policies: ['common'], metadata: false, smtp: undefined, denyWith: 'drop' },
    { id: 2, key: '2', policies: ['common', 'more'], metadata: true, smtp: undefined, denyWith: 'drop' },
  ],
  members: [],
  ignoredLabels: 0,
}
const ALLOW = `allow: [{ cidr: 203.0.113.10/32, ports: [443/tcp] }, { cidr: "2001:db8::10/128", ports: [443/tcp] }]
never: [203.0.113.9/32]
policies:
  more: { match: { container: more }, allow: [{ cidr: 203.0.113.20/32, ports: [443/tcp] }], metadata: allow, inherit: false }
`

async function hostUnder(more: Omit<World, 'yaml'> = {}, guard = 'hostNetwork: true'): Promise<FakeKernel> {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const firewall = await TestFirewall.start(kernel, { yaml: `guard: { ${guard} }\n${ALLOW}`, ...more })
  await firewall.pass()
  expect((await firewall.pass()).outcome).toBe('unchanged')
  return kernel
}

function passes(kernel: FakeKernel, to: string, port: number, fields: Partial<Packet> = {}): boolean {
  const destination = to as Address
  const chains = readChains(parseSave(kernel.rules[familyOf(destination)].save(), familyOf(destination)))
  const packet: Packet = {
    inInterface: '',
    destination,
    protocol: 'tcp',
    port,
    mark: DEFAULT_MARKS.hostNetwork,
    ...fields,
  }
  const element = (fields: string): string =>
    fields === 'dst,dst' ? `${to},${packet.protocol}:${port}` : fields === 'dst' ? to : ''
  const inSet = (set: string, fields: string): boolean => kernel.sets.holds(set, element(fields))
  return trace(CHAIN.output, packet, { chains, inSet }).verdict === 'returned'
}

const classOf = (id: number) => ({ mark: DEFAULT_MARKS.hostNetwork | classMark(DEFAULT_MARKS, id) })

test.each([
  ['what is common', '203.0.113.10', 443, [0, 1, 2]],
  ['what is common over IPv6', '2001:db8::10', 443, [0, 1, 2]],
  ['another port of it', '203.0.113.10', 80, []],
  ['what some have', '203.0.113.20', 443, [2]],
  ['anything else', '203.0.113.66', 443, []],
  ['what is never allowed', '203.0.113.9', 443, []],
  ['metadata', '169.254.169.254', 80, [2]],
  ['another port of metadata', '169.254.169.254', 8080, []],
  ['a neighbour on the link', 'fe80::1', 443, []],
  ['its name server', '198.51.100.53', 53, [0, 1, 2]],
])('%s', async (_, to, port, allowed) => {
  const kernel = await hostUnder({ rights: { ...RIGHTS, unknown: 'common' } })
  expect([0, 1, 2].filter((id) => passes(kernel, to, port, classOf(id)))).toEqual(allowed)
})

test('who is unknown has nothing where somebody has less than what is common', async () => {
  const kernel = await hostUnder({ rights: RIGHTS })
  expect([0, 1, 2].filter((id) => passes(kernel, '203.0.113.10', 443, classOf(id)))).toEqual([1, 2])
})

test('what goes to the host itself passes, but for metadata', async () => {
  const kernel = await hostUnder()
  const toHost = { outInterface: 'lo' }
  expect(passes(kernel, '127.0.0.1', 22, toHost)).toBe(true)
  expect(passes(kernel, '192.0.2.2', 9100, toHost)).toBe(true)
  expect(passes(kernel, '169.254.170.2', 80, toHost)).toBe(false)
})

describe('a published port is a relay there too', () => {
  const PUBLISHED = { '0.0.0.0/1,tcp:8080': 'c1', '128.0.0.0/1,tcp:8080': 'c1', '127.0.0.1,tcp:6000': 'c1' }
  const CLASSES: Assignment = {
    ...RIGHTS,
    classes: [
      ...RIGHTS.classes,
      { id: 3, key: '3', policies: ['more'], metadata: false, smtp: undefined, denyWith: 'drop' },
    ],
  }
  test.each([
    ['by an address of the host', '192.0.2.2', 8080, [1, 2]],
    ['by the loopback', '127.0.0.1', 8080, [1, 2]],
    ['published to the loopback alone', '127.0.0.1', 6000, [1, 2]],
    ['not published', '127.0.0.1', 9090, [0, 1, 2, 3]],
  ] as const)('%s', async (_, to, port, allowed) => {
    const kernel = await hostUnder({ rights: CLASSES, published: PUBLISHED })
    const reaching = [0, 1, 2, 3].filter((id) =>
      passes(kernel, to, port, { ...classOf(id), outInterface: 'lo' }),
    )
    expect(reaching).toEqual(allowed)
  })
})

test('what a DNAT leads elsewhere is not for the host, and judged by where it goes', async () => {
  const kernel = await hostUnder()
  const rules = kernel.rules[4].save()
  expect(rules).toMatch(
    /-A EMBARGOD-OUTPUT -o lo [^\n]*to the host itself[^\n]* -m addrtype --dst-type LOCAL -j RETURN/,
  )
  expect(rules).toMatch(
    /-o lo [^\n]* -m conntrack --ctstate DNAT -m set --match-set embargod-containers-4 dst -g EMBARGOD-PUBLISHED/,
  )
})

test('what is sent for a process that has ended is judged by the rights of its connection', async () => {
  const kernel = await hostUnder({ rights: RIGHTS })
  expect(kernel.rules[4].save()).toMatch(
    /-A EMBARGOD-OUTPUT [^\n]*-m mark --mark 0xff8\/0xff8 -j CONNMARK --restore-mark --nfmask 0xff8 --ctmask 0xff8/,
  )
})

test('nobody passes there whom nobody marked, and nothing stands there that is not asked for', async () => {
  const kernel = await hostUnder()
  expect(kernel.rules[4].save()).toMatch(/-A OUTPUT .*--mark 0x10000000\/0x10000000 -j EMBARGOD-OUTPUT/)
  expect(kernel.rules[6].save()).toMatch(/-A OUTPUT .*--mark 0x10000000\/0x10000000 -j EMBARGOD-OUTPUT/)
  const without = await hostUnder({}, 'hostNetwork: false')
  expect(jumpsTo(parseSave(without.rules[4].save(), 4), 'OUTPUT', CHAIN.output)).toBe(false)
  expect(without.rules[4].save()).not.toContain('EMBARGOD-OUTPUT')
})
