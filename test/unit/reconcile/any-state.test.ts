import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOurs } from '../../../src/targets/iptables/hook-places.ts'
import { FAMILIES } from '../../../src/net/types.ts'
import { dockerRules, TestFirewall } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** Whatever the kernel holds when a process begins: one pass makes it what is desired, the next has nothing to do, and what is not ours stays. */

const NAMES = { 'a.example': ['203.0.113.10', '2001:db8::10'], 'b.example': ['203.0.113.20'] }
const yaml = fc
  .record({
    allow: fc.subarray(
      ['a.example', 'b.example:5432', '{ cidr: 198.51.100.0/24, ports: [8000-8100/tcp, icmp] }'],
      { minLength: 1 },
    ),
    never: fc.subarray(['198.51.100.7', '2001:db8:bad::/48']),
    smtp: fc.constantFrom('', 'smtp: { rate: 5/minute, burst: 5 }\n'),
    denyWith: fc.constantFrom('drop', 'reject'),
  })
  .map(
    ({ allow, never, smtp, denyWith }) =>
      `allow: [${allow.join(', ')}]\nnever: [${never.join(', ')}]\ndenyWith: ${denyWith}\n${smtp}`,
  )

/** A process of ours that was there before, mostly. */
const earlier = fc.option(yaml, { freq: 5 })
/** What others, or a process of ours that died, may have done to a kernel. */
const disturbance = fc.oneof(
  fc.record({
    kind: fc.constant('foreignRule' as const),
    family: fc.constantFrom(...FAMILIES),
    first: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('flushChain' as const),
    family: fc.constantFrom(...FAMILIES),
    pick: fc.nat(),
  }),
  fc.record({ kind: fc.constant('dropRule' as const), family: fc.constantFrom(...FAMILIES), pick: fc.nat() }),
  fc.record({ kind: fc.constant('flushSet' as const), pick: fc.nat() }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('stranger' as const), pick: fc.nat() }) },
  fc.constant({ kind: 'foreignSet' as const }),
  fc.constant({ kind: 'leftovers' as const }),
  fc.constant({ kind: 'noBackstop' as const }),
  fc.constant({ kind: 'oddBackstop' as const }),
)
type Disturbance = typeof disturbance extends fc.Arbitrary<infer T> ? T : never

test('any policy on any kernel', () =>
  fc.assert(
    fc.asyncProperty(
      yaml,
      earlier,
      fc.array(disturbance, { maxLength: 6 }),
      fc.boolean(),
      async (policy, last, before, docker) => {
        const kernel = new FakeKernel()
        if (docker) dockerRules(kernel)
        if (last !== null) await (await TestFirewall.start(kernel, { yaml: last, names: NAMES })).pass()
        for (const one of before) await disturb(kernel, one)
        const foreign = foreignOf(kernel)

        const host = await TestFirewall.start(kernel, { yaml: policy, names: NAMES })
        await host.pass()
        expect(await host.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
        const again = await TestFirewall.start(kernel, { yaml: policy, names: NAMES }, host.kept)
        expect(await again.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
        expect(foreignOf(kernel)).toEqual(foreign)

        const fresh = new FakeKernel()
        if (docker) dockerRules(fresh)
        // Where somebody accepts packets ahead of the engine's chain our jump stands there, too.
        for (const one of before) if (one.kind === 'foreignRule') await disturb(fresh, one)
        await (await TestFirewall.start(fresh, { yaml: policy, names: NAMES })).pass()
        expect(oursOf(kernel)).toEqual(oursOf(fresh))
      },
    ),
    { numRuns: 25 },
  ))

async function disturb(kernel: FakeKernel, one: Disturbance): Promise<void> {
  switch (one.kind) {
    case 'foreignRule': {
      const rule = `FORWARD ${one.first ? '1 ' : ''}-i eth${foreignRules++} -j ACCEPT`
      kernel.rules[one.family].restore(`*filter\n-${one.first ? 'I' : 'A'} ${rule}\nCOMMIT\n`)
      return
    }
    case 'flushChain':
    case 'dropRule': {
      const chains = [...(kernel.rules[one.family].tables.get('filter') ?? [])].filter(([name]) =>
        isOurs(name),
      )
      const rules = chains[one.pick % Math.max(1, chains.length)]?.[1].rules
      rules?.splice(
        one.kind === 'dropRule' ? one.pick % Math.max(1, rules.length) : 0,
        one.kind === 'dropRule' ? 1 : 99,
      )
      return
    }
    case 'flushSet':
      pickSet(kernel, one.pick)?.elements.clear()
      return
    case 'stranger': {
      const set = pickSet(kernel, one.pick)
      if (!set) return
      const address = set.family === 'inet6' ? '2001:db8::666' : '203.0.113.66'
      set.elements.set(address, { expiresAtMs: Infinity, packets: 0, bytes: 0, comment: '' })
      return
    }
    case 'foreignSet':
      kernel.sets.line('create theirs hash:net family inet maxelem 9 timeout 60 counters comment')
      kernel.sets.line('add theirs 203.0.113.66')
      return
    case 'leftovers':
      kernel.sets.line('create embargod-old-4 hash:net family inet maxelem 9 timeout 60 counters comment')
      for (const family of FAMILIES)
        kernel.rules[family].restore(
          '*filter\n:EMBARGOD-OLD - [0:0]\n-A EMBARGOD-OLD -j RETURN\n-A FORWARD -j EMBARGOD-OLD\nCOMMIT\n',
        )
      return
    case 'noBackstop':
      kernel.backstop = undefined
      return
    case 'oddBackstop':
      kernel.backstop = kernel.backstop?.replace(/.*approved by the rules.*\n/, '')
      return
    default:
      one satisfies never
  }
}

let foreignRules = 0

function pickSet(kernel: FakeKernel, pick: number) {
  const sets = [...kernel.sets.all].filter(
    ([name, { type }]) => name.startsWith('embargod-common-') && type === 'hash:net',
  )
  return sets[pick % Math.max(1, sets.length)]?.[1]
}

/** Rules and sets of others, in their order; chains that the tool makes by itself and that are empty do not count. */
const foreignOf = (kernel: FakeKernel) => ({
  rules: FAMILIES.map((family) =>
    [...kernel.rules[family].tables].flatMap(([table, chains]) =>
      [...chains]
        .filter(([name]) => !isOurs(name))
        .map(([name, { rules }]) => [
          `${table} ${name}`,
          rules.filter(({ text }) => !/ -j EMBARGOD/.test(` ${text}`)).map(({ text }) => text),
        ])
        .filter(([, rules]) => rules?.length !== 0),
    ),
  ),
  sets: [...kernel.sets.all]
    .filter(([name]) => !name.startsWith('embargod-'))
    .map(([name, { elements }]) => [name, [...elements.keys()]]),
})

/** Everything of ours, without the order of what has none. */
const oursOf = (kernel: FakeKernel) => ({
  chains: FAMILIES.map((family) =>
    [...kernel.rules[family].tables]
      .flatMap(([table, chains]) =>
        [...chains]
          .filter(([name]) => isOurs(name))
          .map(([name, { rules }]) => [`${table} ${name}`, ...rules.map(({ text }) => text)]),
      )
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  ),
  jumps: FAMILIES.map((family) =>
    [...kernel.rules[family].tables].flatMap(([table, chains]) =>
      [...chains]
        .filter(([name, { rules }]) => !isOurs(name) && / -j EMBARGOD/.test(` ${rules[0]?.text}`))
        .map(([name]) => `${table} ${name}`),
    ),
  ),
  sets: [...kernel.sets.all]
    .filter(([name]) => name.startsWith('embargod-'))
    .map(([name, { elements }]) => [
      name,
      [...elements].map(([element, { comment }]) => `${element} ${comment}`).toSorted(),
    ])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  backstop: kernel.backstop?.replace(/packets \d+ bytes \d+/, ''),
})
