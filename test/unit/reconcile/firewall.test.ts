import { describe, expect, test } from 'vitest'
import { allowSet, revokedSet, lingerSet } from '../../../src/dataplane/names.ts'
import type { Address, Hostname } from '../../../src/net/types.ts'
import {
  dockerRules,
  fateOf,
  heldAddress,
  NOTHING,
  packet,
  TestFirewall,
  WHOLE,
} from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

const YAML = 'allow: [api.example.com]\n'
const NAMES = { 'api.example.com': ['203.0.113.10', '2001:db8::10'] }
const allowed = [packet('203.0.113.10'), packet('2001:db8::10')]
const forbidden = [packet('203.0.113.99'), packet('2001:db8::99'), packet('203.0.113.10', 22)]

async function settled(yaml = YAML, names: Record<string, readonly string[]> = NAMES) {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const host = await TestFirewall.start(kernel, { yaml, names })
  await host.pass()
  return { kernel, host }
}

const setOfFirstGroup = (host: TestFirewall, family: 4 | 6 = 4): string => {
  const [policy] = host.desired.policies.policies
  const [group] = policy?.groups ?? []
  if (!policy || !group) throw new Error('the policy has no group')
  return allowSet(policy.id, group.ports, family)
}

/** A connection as `conntrack -L` prints it, without NAT. */
const connection = (source: string, destination: string, port: number, mark = 0, protocol = 'tcp') =>
  `${protocol}      6 431999 ESTABLISHED src=${source} dst=${destination} sport=40000 dport=${port} src=${destination} dst=${source} sport=${port} dport=40000 [ASSURED] mark=${mark} use=1`

async function expectGuarding(kernel: FakeKernel): Promise<void> {
  for (const probe of allowed) expect(fateOf(kernel, probe)).toMatchObject({ passes: true, approved: true })
  for (const probe of forbidden)
    expect(fateOf(kernel, probe)).toMatchObject({ passes: false, rulesPass: false })
}

describe('a pass', () => {
  test('on an empty host puts everything in place', async () => {
    const kernel = new FakeKernel()
    const host = await TestFirewall.start(kernel, { yaml: YAML, names: NAMES })
    expect(fateOf(kernel, packet('203.0.113.99')).passes).toBe(true)
    const result = await host.pass()
    expect(result).toMatchObject({ outcome: 'changed', drift: [] })
    await expectGuarding(kernel)
    expect(kernel.rules[4].chain('filter', 'FORWARD')?.rules[0]?.text).toMatch(/-j EMBARGOD$/)
  })

  test('writes nothing on a host that is as it should be', async () => {
    const { kernel, host } = await settled()
    const before = kernel.writes
    expect(
      await host.pass({ ...WHOLE, everything: true, read: [...host.firewall.keepers.sets.known.keys()] }),
    ).toMatchObject({ outcome: 'unchanged', summary: [], drift: [] })
    expect(kernel.writes).toBe(before)
  })

  test('of another process with no memory writes nothing either', async () => {
    const { kernel, host } = await settled()
    const before = kernel.writes
    const next = await TestFirewall.start(kernel, { yaml: YAML, names: NAMES }, host.kept)
    expect(await next.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
    expect(kernel.writes).toBe(before)
    expect(next.adopted).toContain(setOfFirstGroup(next))
  })

  test('looks at nothing when only answers came, and writes no more than them', async () => {
    const { kernel, host } = await settled()
    host.answer('api.example.com', ['203.0.113.10', '203.0.113.11', '2001:db8::10'])
    kernel.commands.length = 0
    expect(await host.pass(NOTHING)).toMatchObject({ outcome: 'changed' })
    expect(kernel.commands).toEqual(['ipset -exist restore'])
    expect(fateOf(kernel, packet('203.0.113.11')).passes).toBe(true)
  })

  test('that wants a jump above ours puts ours first again and leaves the other', async () => {
    const { kernel, host } = await settled()
    kernel.rules[4].restore('*filter\n-I DOCKER-USER 1 -i br-0123456789ab -j ACCEPT\nCOMMIT\n')
    expect(await host.pass()).toMatchObject({ outcome: 'changed', drift: ['jump'] })
    const rules = kernel.rules[4].chain('filter', 'DOCKER-USER')?.rules.map(({ text }) => text) ?? []
    expect(rules[0]).toMatch(/-j EMBARGOD$/)
    expect(rules.slice(1)).toEqual([
      '-i br-0123456789ab -j ACCEPT',
      `-i eth7 -m comment --comment "the operator's own" -j DROP`,
      '-j RETURN',
    ])
    expect(await host.pass()).toMatchObject({ outcome: 'unchanged' })
  })

  test.each([
    [
      'our chain is flushed',
      (kernel: FakeKernel) => kernel.rules[4].restore('*filter\n:EMBARGOD-JUDGE - [0:0]\nCOMMIT\n'),
      'rules',
    ],
    [
      'FORWARD is flushed',
      (kernel: FakeKernel) => kernel.rules[4].restore('*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n'),
      'jump',
    ],
    [
      'DOCKER-USER is flushed',
      (kernel: FakeKernel) => kernel.rules[6].restore('*filter\n:DOCKER-USER - [0:0]\nCOMMIT\n'),
      'jump',
    ],
    ['all rules are gone', (kernel: FakeKernel) => kernel.rules[4].tables.clear(), 'rules'],
    ['the backstop is gone', (kernel: FakeKernel) => void (kernel.backstop = undefined), 'backstop'],
    [
      'a rule was added to the backstop',
      (kernel: FakeKernel) =>
        void (kernel.backstop = kernel.backstop?.replace('\t\tmeta', '\t\taccept\n\t\tmeta')),
      'backstop',
    ],
  ])('repairs: %s', async (_, disturb, drift) => {
    const { kernel, host } = await settled()
    disturb(kernel)
    const result = await host.pass()
    expect(result.outcome).toBe('changed')
    expect(result.drift).toContain(drift)
    await expectGuarding(kernel)
    expect(await host.pass()).toMatchObject({ outcome: 'unchanged' })
  })

  test('of the metrics of rules: what is rewritten keeps its counters', async () => {
    const { kernel, host } = await settled()
    const judge = kernel.rules[4].chain('filter', 'EMBARGOD-VERDICT')?.rules ?? []
    for (const [index, rule] of judge.entries())
      Object.assign(rule, { packets: index + 1, bytes: 100 * index })
    const before = new Map(judge.map(({ text, packets }) => [keyOf(text), packets]))
    await host.reload('allow: [api.example.com]\nnever: [203.0.113.99]\n')
    await host.pass()
    const after = kernel.rules[4].chain('filter', 'EMBARGOD-VERDICT')?.rules ?? []
    expect(after.length).toBe(judge.length + 1)
    for (const { text, packets } of after) expect(packets).toBe(before.get(keyOf(text)) ?? 0)
  })
})

const keyOf = (text: string): string => /\[(\S+) [0-9a-f]{8}\]/.exec(text)?.[1] ?? text

test.each(['ipset -', 'iptables-nft-save -c', 'nft list table inet embargod-guard'])(
  'a policy that changes while a pass reads (%s) is written whole, and none of the old one stays',
  async (reading) => {
    const { kernel, host } = await settled(
      'allow: [api.example.com, { cidr: 198.51.100.7, ports: [8080/tcp] }]\n',
    )
    const yaml =
      'allow: [{ cidr: 198.51.100.8, ports: [5432/tcp] }, { cidr: 198.51.100.9, ports: [443/tcp] }]\n'
    kernel.meanwhile = async (command) => {
      if (command !== reading) return
      kernel.meanwhile = undefined
      await host.reload(yaml)
    }
    // As the timer has it, and the reload's own behind it.
    await host.pass()
    expect(kernel.meanwhile).toBeUndefined()
    await host.pass(NOTHING)
    const later = await TestFirewall.start(kernel, { yaml }, host.kept)
    expect(await later.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
  },
)

describe('sets', () => {
  test('flushed by somebody are filled again', async () => {
    const { kernel, host } = await settled()
    kernel.sets.line(`flush ${setOfFirstGroup(host)}`)
    expect(fateOf(kernel, packet('203.0.113.10')).passes).toBe(false)
    expect(await host.pass()).toMatchObject({ outcome: 'changed', drift: ['set'] })
    await expectGuarding(kernel)
  })

  test('destroyed by somebody, rules and all, are made anew', async () => {
    const { kernel, host } = await settled()
    for (const family of [4, 6] as const) kernel.rules[family].tables.clear()
    for (const name of kernel.sets.all.keys()) kernel.sets.line(`destroy ${name}`)
    expect((await host.pass()).drift).toEqual(expect.arrayContaining(['set', 'rules']))
    await expectGuarding(kernel)
  })

  test.each([4, 6] as const)(
    'put in place of ours by somebody, of another type and as empty, are replaced (IPv%i)',
    async (family) => {
      const { kernel, host } = await settled(YAML, { 'api.example.com': [] })
      const set = setOfFirstGroup(host, family)
      kernel.rules[family].tables.clear()
      kernel.sets.line(`destroy ${set}`)
      kernel.sets.line(`create ${set} hash:ip,port,ip family inet maxelem 65536 timeout 5 counters comment`)
      await host.pass()
      host.answer('api.example.com', NAMES['api.example.com'])
      await host.pass()
      expect(kernel.sets.set(set).type).toBe('hash:net')
      await expectGuarding(kernel)
    },
  )

  test('grow beside the old one and keep their counters', async () => {
    const many = Array.from({ length: 40_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`)
    const { kernel, host } = await settled(YAML, { 'api.example.com': ['203.0.113.10', '2001:db8::10'] })
    const set = setOfFirstGroup(host)
    const element = kernel.sets.set(set).elements.get('203.0.113.10')
    Object.assign(element ?? {}, { packets: 7, bytes: 700 })
    await host.pass({ ...WHOLE, read: [set] })
    host.answer('api.example.com', [...NAMES['api.example.com'], ...many])
    expect(await host.pass(NOTHING)).toMatchObject({ outcome: 'changed' })
    expect(kernel.sets.set(set)).toMatchObject({ maxelem: 131_072 })
    expect(kernel.sets.set(set).elements.get('203.0.113.10')).toMatchObject({ packets: 7, bytes: 700 })
    expect([...kernel.sets.all.keys()].filter((name) => name.includes('new'))).toEqual([])
    await expectGuarding(kernel)
    expect(await host.pass()).toMatchObject({ outcome: 'unchanged' })
  })

  test('are renewed half-way to their time-out, and stand for as long as the daemon lives', async () => {
    const { kernel, host } = await settled()
    const set = setOfFirstGroup(host)
    for (let hours = 0; hours < 60; hours += 3) {
      kernel.nowMs += 3 * 3_600_000
      await host.pass({ ...WHOLE, everything: true })
      expect(kernel.sets.set(set).elements.size).toBe(1)
    }
    kernel.nowMs += 25 * 3_600_000
    expect(kernel.sets.set(set).elements.size).toBe(0)
  })
})

describe('the second guard', () => {
  test('failing alone makes a partial outcome, and is tried again', async () => {
    const kernel = new FakeKernel()
    dockerRules(kernel)
    const host = await TestFirewall.start(kernel, { yaml: YAML, names: NAMES })
    kernel.failNext(/^nft -f/)
    expect(await host.pass()).toMatchObject({ outcome: 'partial' })
    expect(kernel.backstop).toBeUndefined()
    await expectGuarding(kernel)
    expect(await host.pass()).toMatchObject({ outcome: 'changed', summary: ['write the backstop table'] })
    expect(kernel.backstop).toContain('embargod-guard')
  })
})

describe('a change of rights', () => {
  test('begins another generation, in the rules and in the backstop', async () => {
    const { kernel, host } = await settled()
    expect(host.kept.generation).toBe(2)
    await host.reload('allow: [other.example.com]\n')
    await host.pass()
    expect(host.kept.generation).toBe(3)
    const ok = kernel.rules[4]
      .chain('filter', 'EMBARGOD-OK')
      ?.rules.map(({ text }) => text)
      .join('\n')
    expect(ok).toContain('0x3000000/0xff000000')
    expect(kernel.backstop).toContain('== 0x03000000')
  })

  test('revokes flows that no rule covers, and lets those linger whose address has aged out', async () => {
    const { kernel, host } = await settled('allow: [api.example.com, gone.example.com]\n', {
      'api.example.com': ['203.0.113.10', '203.0.113.12'],
      'gone.example.com': ['203.0.113.13'],
    })
    kernel.connections[4] = [
      connection('172.18.0.5', '203.0.113.10', 443),
      connection('172.18.0.5', '203.0.113.12', 443),
      connection('172.18.0.5', '203.0.113.13', 443),
      connection('10.99.0.1', '203.0.113.13', 443),
    ]
    host.answer('api.example.com', ['203.0.113.10'])
    await host.reload(YAML)
    await host.pass()
    expect([...kernel.sets.set(lingerSet(4)).elements.keys()]).toEqual(['172.18.0.5,tcp:443,203.0.113.12'])
    expect([...kernel.sets.set(revokedSet(4)).elements.keys()]).toEqual(['172.18.0.5,tcp:443,203.0.113.13'])
  })

  test('that gives the right back ends the revocation', async () => {
    const { kernel, host } = await settled()
    kernel.connections[4] = [connection('172.18.0.5', '203.0.113.10', 443)]
    await host.reload('allow: [other.example.com]\n')
    await host.pass()
    expect(fateOf(kernel, packet('203.0.113.10')).path.join()).toContain('revoked')
    await host.reload(YAML)
    host.answer('api.example.com', NAMES['api.example.com'])
    await host.pass()
    expect(kernel.sets.set(revokedSet(4)).elements.size).toBe(0)
    await expectGuarding(kernel)
  })

  test.each([true, false])(
    'ends a revocation when an answer names its address: for its own port %s',
    async (own) => {
      const { kernel, host } = await settled('allow: [late.example.com]\n', {})
      kernel.connections[4] = [connection('172.18.0.5', '203.0.113.77', own ? 443 : 22)]
      await host.reload('allow: [late.example.com, other.example.com]\n')
      await host.pass()
      expect(kernel.sets.set(revokedSet(4)).elements.size).toBe(1)
      const { desired, firewall } = host
      const places = desired.membership
        .include('late.example.com' as Hostname, heldAddress('203.0.113.77', kernel.nowMs))
        .map((set) => ({ set, element: '203.0.113.77' }))
      await firewall.keepers.sets.fastPath.ensure(places, desired.membership, 600, kernel.nowMs)
      expect(firewall.noteAdded('203.0.113.78' as Address)).toBe(false)
      await host.pass()
      expect(kernel.sets.set(revokedSet(4)).elements.size).toBe(1)
      expect(firewall.noteAdded('203.0.113.77' as Address)).toBe(true)
      await host.pass()
      expect(kernel.sets.set(revokedSet(4)).elements.size).toBe(own ? 0 : 1)
      expect(firewall.noteAdded('203.0.113.77' as Address)).toBe(!own)
    },
  )

  test('ends a linger with the name that it rested on', async () => {
    const { kernel, host } = await settled()
    kernel.connections[4] = [connection('172.18.0.5', '203.0.113.10', 443)]
    host.answer('api.example.com', ['203.0.113.11'])
    await host.reload('allow: [api.example.com, other.example.com]\n')
    await host.pass()
    expect(kernel.sets.set(lingerSet(4)).elements.size).toBe(1)
    await host.reload('allow: [other.example.com]\n')
    await host.pass()
    // The revocation lasts a quarter of an hour and the linger would a day: what is left after it must not open again.
    expect(kernel.sets.set(revokedSet(4)).elements.size).toBe(1)
    expect(kernel.sets.set(lingerSet(4)).elements.size).toBe(0)
  })

  test('does not touch connections between containers of one network', async () => {
    const { kernel, host } = await settled()
    kernel.connections[4] = [connection('172.18.0.5', '172.18.0.6', 5432)]
    await host.reload('allow: [other.example.com]\n')
    await host.pass()
    expect([...kernel.sets.set(revokedSet(4)).elements.keys()]).toEqual([])
  })

  test('does not touch DNS to a resolver that is a metadata address', async () => {
    const kernel = new FakeKernel()
    const host = await TestFirewall.start(kernel, {
      yaml: YAML,
      names: NAMES,
      resolvers: ['169.254.169.253'],
    })
    await host.pass()
    expect(fateOf(kernel, packet('169.254.169.253', 53, 'udp')).passes).toBe(true)
    kernel.connections[4] = [connection('172.18.0.5', '169.254.169.253', 53, 0, 'udp')]
    await host.reload('allow: [other.example.com]\n')
    await host.pass()
    expect(fateOf(kernel, packet('169.254.169.253', 53, 'udp')).passes).toBe(true)
  })

  test('is not held up by more flows than a set takes', async () => {
    const { kernel, host } = await settled('allow: [{ cidr: 198.18.0.0/15 }]\n', {})
    const flows = (from: number) =>
      Array.from({ length: 40_000 }, (_, i) =>
        connection('172.18.0.5', `198.${18 + ((i + from) >> 16)}.${((i + from) >> 8) & 255}.${i & 255}`, 443),
      )
    kernel.connections[4] = flows(0)
    await host.reload('allow: [a.example.com]\n')
    await host.pass()
    kernel.connections[4] = flows(40_192)
    await host.reload('allow: [b.example.com]\n')
    await host.pass()
    expect(kernel.sets.set(revokedSet(4)).elements.size).toBeGreaterThan(50_000)
    expect(fateOf(kernel, packet('198.18.0.1')).passes).toBe(false)
  })

  test('goes through when the connections cannot be read, and says that it is blind', async () => {
    const { kernel, host } = await settled()
    await host.reload('allow: [other.example.com]\n')
    kernel.failNext(/^conntrack -L/)
    await host.pass()
    expect(host.blind).toHaveLength(1)
    expect(fateOf(kernel, packet('203.0.113.10')).passes).toBe(false)
  })

  test('that could not be read to its end is done whole by the next pass', async () => {
    const { kernel, host } = await settled('allow: [api.example.com, gone.example.com]\n', {
      ...NAMES,
      'gone.example.com': ['203.0.113.13'],
    })
    await host.reload(YAML)
    kernel.failNext(/^ipset -$/)
    await expect(host.pass(WHOLE)).rejects.toThrow('ipset')
    await host.pass(WHOLE)
    expect(fateOf(kernel, packet('203.0.113.13')).passes).toBe(false)
    await expectGuarding(kernel)
  })
})
