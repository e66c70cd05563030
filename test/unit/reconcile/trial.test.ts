import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compile } from '../../../src/policy/compile.ts'
import { onTrial } from '../../../src/policy/trial.ts'
import {
  configOf,
  fateOf,
  packet,
  planOf,
  reachesHost,
  SHOP,
  surroundingsOf,
  TestFirewall,
} from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** The daemon is killed during a trial: what holds when its time is over is what held before. */

const TRIAL_MS = 60_000
const OTHER = 'br-ffffffffffff'

const until = (minutes: number): string => `until: '${new Date(NOW_MS + minutes * 60_000).toISOString()}'`

/** Each part of a config as it may be before and on trial. */
const PARTS = {
  allow: [
    'allow: [{ cidr: 203.0.113.1 }]',
    'allow: [{ cidr: 203.0.113.0/24, ports: [80, 443] }]',
    'allow: [{ cidr: 203.0.113.1 }, { cidr: 198.18.0.1, ports: [25] }, { domain: a.example.com, ports: [22] }]',
    'allow: [{ to: internet, ports: [443, 25] }]',
    `allow: [{ cidr: 203.0.113.1, ${until(2)} }, { to: internet, ports: [443, 25], ${until(3)} }]`,
    `allow: [{ cidr: 203.0.113.1, ${until(3)} }, { to: internet, ports: [443, 25], ${until(2)} }]`,
    'allow: []',
  ],
  never: ['never: []', 'never: [203.0.113.0/28]'],
  metadata: ['metadata: { block: true }', 'metadata: { block: false }', 'metadata: { extra: [192.0.2.7] }'],
  guard: [
    'guard: { hostServices: [icmp, published] }',
    'guard: { hostServices: all }',
    'guard: { hostServices: [22/tcp] }',
  ],
  smtp: ['', 'smtp: { destinations: any }'],
  denyWith: ['denyWith: drop', 'denyWith: reject'],
} as const
const yaml: fc.Arbitrary<string> = fc
  .tuple(...Object.values(PARTS).map((part) => fc.constantFrom<string>(...part)))
  .map((parts) => parts.join('\n'))

const PROBES = [
  '203.0.113.1',
  '203.0.113.99',
  '198.18.0.1',
  '169.254.169.254',
  '192.0.2.7',
  '203.0.113.20',
].flatMap((address) =>
  [22, 25, 80, 443].flatMap((port) =>
    [SHOP.bridge, OTHER].map((bridge) => packet(address, port, 'tcp', bridge)),
  ),
)
const HOST_PROBES = [22, 443].flatMap((port) =>
  [SHOP.bridge, OTHER].map((bridge) => packet('172.18.0.1', port, 'tcp', bridge)),
)
/** Everything that is open, as text. */
const open = (kernel: FakeKernel): string[] => [
  ...PROBES.filter((one) => fateOf(kernel, one).passes).map((one) => JSON.stringify(one)),
  ...HOST_PROBES.filter((one) => reachesHost(kernel, one)).map((one) => JSON.stringify(one)),
]

const NAMES = { 'a.example.com': ['203.0.113.20'] }
/** Is the other network left alone? */
const planFor = (isExcepted: boolean) =>
  isExcepted
    ? planOf([SHOP], [{ name: OTHER, index: 9, why: 'excepted network' }])
    : planOf([SHOP, { bridge: OTHER, subnets: [] }])

test('whatever is tried: it is as it says during the trial, and as it was before when it is over', () =>
  fc.assert(
    fc.asyncProperty(
      yaml,
      yaml,
      fc.boolean(),
      fc.boolean(),
      async (before, tried, wasExcepted, isExcepted) => {
        const [first, alone] = [new FakeKernel(), new FakeKernel()]
        const one = await TestFirewall.start(first, {
          yaml: before,
          names: NAMES,
          plan: planFor(wasExcepted),
        })
        await one.pass()
        const openBefore = open(first)
        const other = await TestFirewall.start(alone, {
          yaml: tried,
          names: NAMES,
          plan: planFor(isExcepted),
        })
        await other.pass()

        const [config, configBefore] = [await configOf(tried), await configOf(before)]
        const policiesBefore = compile(configBefore, [], first.nowMs)
        const endMs = first.nowMs + TRIAL_MS
        const trial = onTrial(compile(config, [], first.nowMs), policiesBefore, endMs)
        one.desired.setPolicy(config, trial.tried, { config: configBefore, policies: trial.before })
        const around = surroundingsOf({ plan: planFor(isExcepted) })
        one.desired.setHostFacts({
          ...around,
          before: { plan: planFor(wasExcepted), resolvers: around.resolvers, rights: undefined },
        })
        await one.pass()
        expect(open(first)).toEqual(open(alone))
        expect((await one.pass()).summary).toEqual([])
        first.nowMs = endMs
        expect(open(first)).toEqual(openBefore)

        // Confirmed, be it a moment too late, it is what it would have been without a trial.
        one.desired.setPolicy(config, compile(config, [], first.nowMs))
        one.desired.setHostFacts(around)
        await one.pass()
        first.nowMs += 30_000
        alone.nowMs = first.nowMs
        expect(open(first)).toEqual(open(alone))
        expect(first.rules[4].save()).not.toContain('EMBARGOD-T-')
      },
    ),
    { numRuns: 60 },
  ))
