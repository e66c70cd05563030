import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RuleMatch, Rule, Ruleset, RuleTarget } from '../../../../src/dataplane/model.ts'
import { rule } from '../../../../src/dataplane/rule.ts'
import { diffRules, removeRules } from '../../../../src/targets/iptables/diff.ts'
import { isOurs } from '../../../../src/targets/iptables/hook-places.ts'
import { parseSave, SaveFormatError } from '../../../../src/targets/iptables/parse.ts'
import { readRule } from '../../../../src/targets/iptables/read-rule.ts'
import { fingerprintOf, renderRule } from '../../../../src/targets/iptables/render.ts'
import type { Cidr, Family } from '../../../../src/net/types.ts'
import { FakeRules, asPrinted } from '../../../support/kernel/fake-rules.ts'

const family = fc.constantFrom<Family>(4, 6)
const cidrOf = (of: Family) =>
  fc.constantFrom(
    ...((of === 4
      ? ['203.0.113.7', '198.51.100.0/24', '128.0.0.0/1']
      : ['2001:db8::1', 'fe80::/10']) as Cidr[]),
  )
const range = fc
  .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 0, max: 9 }))
  .map(([from, more]) => ({ from, to: Math.min(65_535, from + more) }))
const bit = fc.integer({ min: 0, max: 31 }).map((shift) => (1 << shift) >>> 0)

/** At most one match of each kind, as in our rules. */
const matchesFor = (of: Family): fc.Arbitrary<RuleMatch[]> =>
  fc
    .record({
      in: fc.option(
        fc.constantFrom('docker0', 'br-+', 'a.b_c-1').map((name): RuleMatch => ({ kind: 'in', name })),
      ),
      to: fc.option(cidrOf(of).map((cidr): RuleMatch => ({ kind: 'destination', cidr }))),
      was: fc.option(cidrOf(of).map((cidr): RuleMatch => ({ kind: 'originalDestination', cidr }))),
      transport: fc.option(
        fc.oneof(
          fc.constantFrom<RuleMatch>(
            { kind: 'protocol', protocol: 'icmp' },
            { kind: 'protocol', protocol: 'igmp' },
            { kind: 'protocol', protocol: 'gre' },
            { kind: 'protocol', protocol: 'tcp' },
          ),
          fc.record({
            kind: fc.constant('ports' as const),
            protocol: fc.constantFrom('tcp' as const, 'udp' as const),
            ranges: fc.array(range, { minLength: 1, maxLength: 7 }),
          }),
        ),
      ),
      set: fc.option(
        fc.constantFrom<RuleMatch>(
          { kind: 'set', set: 'embargod-x-4', fields: 'dst' },
          { kind: 'set', set: 'embargod-y', fields: 'src,dst,dst' },
          { kind: 'set', set: 'embargod-z', fields: 'src', negate: true },
        ),
      ),
      state: fc.option(
        fc.constantFrom<RuleMatch>(
          { kind: 'state', states: ['ESTABLISHED'] },
          { kind: 'state', states: ['RELATED', 'DNAT'], negate: true },
        ),
      ),
      direction: fc.option(
        fc.constantFrom<RuleMatch>(
          { kind: 'direction', direction: 'REPLY' },
          { kind: 'direction', direction: 'ORIGINAL' },
        ),
      ),
      mark: fc.option(
        fc
          .tuple(fc.constantFrom('mark' as const, 'connmark' as const), bit)
          .map(([kind, value]): RuleMatch => ({ kind, value, mask: value })),
      ),
      bridged: fc.option(
        fc.constantFrom<RuleMatch>(
          { kind: 'bridged' },
          { kind: 'bridged', negate: true },
          { kind: 'bridged', out: 'veth+' },
        ),
      ),
      forged: fc.option(fc.constant<RuleMatch>({ kind: 'forgedSource' })),
      limit: fc.option(
        fc
          .record({
            side: fc.constantFrom('above' as const, 'upto' as const),
            count: fc.integer({ min: 1, max: 99 }),
            per: fc.constantFrom('second' as const, 'minute' as const, 'hour' as const, 'day' as const),
            burst: fc.integer({ min: 1, max: 99 }),
            bySource: fc.boolean(),
          })
          .map((limit): RuleMatch => ({ kind: 'hashlimit', limit: { name: 'embargod-l', ...limit } })),
      ),
    })
    .map((all) => Object.values(all).filter((one): one is RuleMatch => one !== null))

const target: fc.Arbitrary<RuleTarget | undefined> = fc.oneof(
  fc.constantFrom<RuleTarget | undefined>(
    undefined,
    { kind: 'return' },
    { kind: 'drop' },
    { kind: 'jump', chain: 'EMBARGOD-A' },
    { kind: 'goto', chain: 'EMBARGOD-B' },
    { kind: 'reject', how: 'reset' },
    { kind: 'reject', how: 'prohibited' },
    { kind: 'log', prefix: 'embargod deny policy', group: 61 },
  ),
  bit.map((value): RuleTarget => ({ kind: 'setMark', bit: value })),
  bit.map((value): RuleTarget => ({ kind: 'clearMark', bit: value })),
  bit.map((value): RuleTarget => ({ kind: 'setConnmark', value, mask: 0xff000000 })),
)

const anyRule = (of: Family): fc.Arbitrary<Rule> =>
  fc
    .record({
      matches: matchesFor(of),
      target,
      key: fc.string({ minLength: 1, maxLength: 90, unit: 'binary' }),
      words: fc.string({ maxLength: 300, unit: 'binary' }),
    })
    .map(({ matches, target: to, key, words }) =>
      rule({ matches, target: to, key, words, action: 'continue' }),
    )

const sorted = (matches: readonly RuleMatch[]) =>
  matches.map((match) => JSON.stringify(match, Object.keys(flat(match)).toSorted())).toSorted()
const flat = (match: RuleMatch): Record<string, unknown> =>
  Object.fromEntries(
    JSON.stringify(match)
      .match(/"(\w+)":/g)
      ?.map((key) => [key.slice(1, -2), 1]) ?? [],
  )

describe('a rule', () => {
  test('comes back from the tool as what it was', () => {
    fc.assert(
      fc.property(
        family.chain((of) => fc.tuple(fc.constant(of), anyRule(of))),
        ([of, one]) => {
          const read = readRule(asPrinted(renderRule(one, of), of))
          expect(read.unknown).toEqual([])
          expect(read.target).toEqual(one.target)
          expect(sorted(read.matches)).toEqual(sorted(one.matches))
        },
      ),
    )
  })

  test('bears a fingerprint of all that it is, whatever the words', () => {
    fc.assert(
      fc.property(anyRule(4), anyRule(4), (a, b) => {
        const [one, other] = [renderRule(a, 4), renderRule(b, 4)]
        expect(fingerprintOf(one)?.key).toBe(a.key)
        expect(fingerprintOf(one)?.fingerprint === fingerprintOf(other)?.fingerprint).toBe(
          one === other && a.action === b.action && a.policy === b.policy,
        )
        expect(/--comment "([^"]*)"/.exec(one)?.[1]?.length).toBeLessThanOrEqual(255)
      }),
    )
  })

  test.each([
    '-s 10.0.0.0/8 -j ACCEPT',
    '! -i docker0 -j ACCEPT',
    '! -d 10.0.0.0/8 -j RETURN',
    '! -p tcp -j RETURN',
    '-m bpf --bytecode "1,6 0 0 0" -j RETURN',
    '-p tcp -m multiport --sports 1 -j ACCEPT',
  ])("of somebody else's that says more than we know is not taken for known: %s", (text) =>
    expect(readRule(text).unknown).not.toEqual([]),
  )
})

const OURS = ['EMBARGOD', 'EMBARGOD-A', 'EMBARGOD-B', 'EMBARGOD-OLD'] as const
const chainRules = fc.array(
  fc.constantFrom('return', 'drop', 'goto').chain((kind) =>
    fc.integer({ min: 0, max: 4 }).map((n) =>
      rule({
        key: `${kind}.${n}`,
        words: `rule ${n}`,
        action: 'continue',
        target:
          kind === 'goto'
            ? { kind: 'goto', chain: 'EMBARGOD-B' }
            : kind === 'drop'
              ? { kind: 'drop' }
              : { kind: 'return' },
      }),
    ),
  ),
  { maxLength: 5 },
)
const hook = rule({
  key: 'hook',
  words: 'our jump',
  action: 'continue',
  target: { kind: 'jump', chain: 'EMBARGOD' },
})
const rulesetOf = fc.tuple(chainRules, chainRules).map(([a, main]): Ruleset => ({
  chains: [
    { table: 'filter', name: 'EMBARGOD', rules: main },
    { table: 'filter', name: 'EMBARGOD-A', rules: a },
    { table: 'filter', name: 'EMBARGOD-B', rules: [] },
  ],
  hooks: [{ table: 'filter', parents: ['DOCKER-USER', 'FORWARD'], rule: hook }],
}))

/** What may stand in the kernel: strangers' rules, jumps of ours at any place, chains of ours from another time. */
const world = fc
  .record({
    docker: fc.boolean(),
    reached: fc.boolean(),
    ours: fc.subarray([...OURS]),
    inOurs: fc.array(
      fc.tuple(
        fc.nat(3),
        fc.constantFrom(
          '-j RETURN',
          '-i eth0 -j ACCEPT',
          '-m comment --comment "x [return.1 deadbeef]" -j RETURN',
        ),
      ),
      { maxLength: 6 },
    ),
    foreign: fc.array(
      fc.tuple(
        fc.constantFrom('FORWARD', 'DOCKER-USER', 'INPUT', 'MINE'),
        fc.constantFrom(
          '-i eth0 -j ACCEPT',
          '-m comment --comment "-j EMBARGOD" -j DROP',
          '-s 10.0.0.0/8 -j MINE',
          'JUMP',
        ),
      ),
      { maxLength: 8 },
    ),
  })
  .map(({ docker, reached, ours, inOurs, foreign }) => {
    const rules = new FakeRules(4, () => undefined)
    const lines = [
      ':MINE - [0:0]',
      ...(docker ? [':DOCKER-USER - [0:0]'] : []),
      ...ours.map((name) => `:${name} - [0:0]`),
    ]
    if (docker && reached) lines.push('-A FORWARD -j DOCKER-USER')
    for (const [n, text] of inOurs)
      if (ours[n % Math.max(1, ours.length)]) lines.push(`[${n}:9] -A ${ours[n % ours.length]} ${text}`)
    for (const [chain, text] of foreign) {
      if (chain === 'DOCKER-USER' && !docker) continue
      if (text !== 'JUMP') lines.push(`-A ${chain} ${text}`)
      else if (ours.length > 0) lines.push(`-A ${chain} -j ${ours[0]}`)
    }
    rules.restore(['*filter', ...lines, 'COMMIT', ''].join('\n'))
    return rules
  })

const read = (rules: FakeRules) => parseSave(rules.save(), 4)
const apply = (rules: FakeRules, desired: Ruleset) =>
  diffRules(desired, read(rules), 4).forEach(({ input }) => rules.restore(input))
const foreignOf = (rules: FakeRules) =>
  [...(read(rules).tables.get('filter')?.chains ?? [])]
    .filter(([name]) => !isOurs(name))
    .map(([name, chain]) => [
      name,
      chain.rules.filter(({ target: to }) => to === undefined || !isOurs(to)).map(({ text }) => text),
    ])

describe('the difference of rules', () => {
  test('once written is none, with one jump of ours, first, and every rule of others in its place', () => {
    fc.assert(
      fc.property(world, rulesetOf, (rules, desired) => {
        const before = foreignOf(rules)
        apply(rules, desired)
        expect(diffRules(desired, read(rules), 4)).toEqual([])
        expect(foreignOf(rules)).toEqual(before)
        const chains = read(rules).tables.get('filter')?.chains ?? new Map()
        const jumps = [...chains]
          .filter(([name]) => !isOurs(name))
          .flatMap(([name, chain]) =>
            chain.rules.flatMap((one: { target?: string }, index: number) =>
              one.target !== undefined && isOurs(one.target) ? [[name, index]] : [],
            ),
          )
        const reached = rules.chain('filter', 'FORWARD')?.rules.some(({ text }) => text === '-j DOCKER-USER')
        expect(jumps).toEqual([[reached ? 'DOCKER-USER' : 'FORWARD', 0]])
        expect([...chains.keys()].filter(isOurs).toSorted()).toEqual(['EMBARGOD', 'EMBARGOD-A', 'EMBARGOD-B'])
      }),
    )
  })

  test('between any two states of ours is none when written', () => {
    fc.assert(
      fc.property(rulesetOf, rulesetOf, (first, second) => {
        const rules = new FakeRules(4, () => undefined)
        apply(rules, first)
        apply(rules, second)
        expect(diffRules(second, read(rules), 4)).toEqual([])
      }),
    )
  })

  test('to nothing takes all of ours away and nothing else', () => {
    fc.assert(
      fc.property(world, rulesetOf, (rules, desired) => {
        const before = foreignOf(rules)
        apply(rules, desired)
        removeRules(read(rules), 4).forEach(({ input }) => rules.restore(input))
        expect(rules.save()).not.toContain('-j EMBARGOD\n')
        expect(rules.save()).not.toContain(':EMBARGOD')
        expect(foreignOf(rules)).toEqual(before)
      }),
    )
  })
})

test('a rule that asks for ports twice is read with both', () => {
  const ports = (port: number) => ({ kind: 'ports', protocol: 'tcp', ranges: [{ from: port, to: port }] })
  expect(readRule('-i docker0 -p tcp -m multiport --dports 80 -m tcp --dport 443 -j ACCEPT').matches).toEqual(
    [{ kind: 'in', name: 'docker0' }, ports(80), ports(443)],
  )
})

describe('what the tool prints', () => {
  test('is read as it stands', () => {
    fc.assert(
      fc.property(world, (rules) => {
        const chains = read(rules).tables.get('filter')?.chains ?? new Map()
        for (const [name, { rules: found }] of chains)
          expect(found.map(({ text }: { text: string }) => text)).toEqual(
            rules.chain('filter', name)?.rules.map(({ text }) => text),
          )
      }),
    )
  })

  test('cut off is no firewall', () => {
    fc.assert(
      fc.property(world, fc.nat(), (rules, at) => {
        const text = rules.save()
        const end = text.lastIndexOf('COMMIT')
        const cut = text.slice(0, Math.max(text.indexOf('*filter') + 7, at % end))
        expect(() => parseSave(cut, 4)).toThrow(SaveFormatError)
      }),
    )
  })

  test.each([
    "# Table `filter' is incompatible, use 'nft' tool.",
    "# Table 'raw' is incompatible, use 'nft' tool.",
  ])('of a table that it cannot read is an error: %s', (line) => {
    expect(() => parseSave(`${line}\n`, 4)).toThrow('native nft rules')
  })

  test('of a table that is none of our business is passed over', () => {
    expect(parseSave("# Table `nat' is incompatible, use 'nft' tool.\n", 4).tables.size).toBe(0)
  })
})
