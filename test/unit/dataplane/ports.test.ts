import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  allowSet,
  CHAIN,
  deniedSet,
  denyChain,
  DENY_REASONS,
  lingerSet,
  policyChain,
  revokedSet,
} from '../../../src/dataplane/names.ts'
import { matchesOfPorts } from '../../../src/dataplane/ports.ts'
import { maxelemFor } from '../../../src/dataplane/set-size.ts'
import { portList } from '../../../src/net/ports.ts'
import { FAMILIES, type PortSpec } from '../../../src/net/types.ts'

const spec: fc.Arbitrary<PortSpec> = fc.oneof(
  fc
    .tuple(fc.constantFrom('tcp' as const, 'udp' as const), fc.integer({ min: 1, max: 65_535 }), fc.nat(3))
    .map(([protocol, from, more]) => ({ protocol, from, to: Math.min(65_535, from + more) })),
  fc.constantFrom<PortSpec>(
    { protocol: 'icmp' },
    { protocol: 'gre' },
    { protocol: 'sctp' },
    { protocol: 'tcp', from: 1, to: 65_535 },
  ),
)
const lists = fc.array(spec, { minLength: 1, maxLength: 60 }).map(portList)

describe('the rules of a port list', () => {
  test('cover its ports and no others, 15 slots a rule, each with a key of its own', () => {
    fc.assert(
      fc.property(lists, fc.constantFrom(...FAMILIES), (ports, family) => {
        const rules = matchesOfPorts(ports, family)
        expect(new Set(rules.map(({ key }) => key)).size).toBe(rules.length)
        const all = rules.flatMap(({ matches }) => matches)
        for (const match of all)
          if (match.kind === 'ports')
            expect(
              match.ranges.reduce((sum, { from, to }) => sum + (from === to ? 1 : 2), 0),
            ).toBeLessThanOrEqual(15)
        for (const protocol of ['tcp', 'udp'] as const) {
          const edges = ports.specs
            .flatMap((one) => ('from' in one ? [one.from - 1, one.from, one.to, one.to + 1] : []))
            .filter((port) => port >= 1 && port <= 65_535)
          for (const port of [1, 65_535, ...edges]) {
            const wanted = ports.specs.some(
              (one) => 'from' in one && one.protocol === protocol && one.from <= port && port <= one.to,
            )
            const covered = all.some(
              (match) =>
                (match.kind === 'protocol' && match.protocol === protocol) ||
                (match.kind === 'ports' &&
                  match.protocol === protocol &&
                  match.ranges.some(({ from, to }) => from <= port && port <= to)),
            )
            expect(covered, `${port}/${protocol}`).toBe(wanted)
          }
        }
        for (const protocol of ['icmp', 'gre', 'esp', 'ah', 'sctp'] as const)
          expect(all.some((match) => match.kind === 'protocol' && match.protocol === protocol)).toBe(
            ports.specs.some((one) => one.protocol === protocol),
          )
      }),
    )
  })
})

describe('names', () => {
  const policy = fc.stringMatching(/^[a-z0-9-]{1,16}$/)
  test('fit the kernel: sets in 31 characters, chains in 28', () => {
    fc.assert(
      fc.property(policy, lists, (id, ports) => {
        for (const family of FAMILIES) expect(allowSet(id, ports, family).length).toBeLessThanOrEqual(31)
        expect(policyChain(id).length).toBeLessThanOrEqual(28)
      }),
    )
    for (const family of FAMILIES)
      for (const name of [
        revokedSet(family),
        lingerSet(family),
        ...DENY_REASONS.map((reason) => deniedSet(reason, family)),
      ])
        expect(name.length).toBeLessThanOrEqual(31)
    for (const chain of [...Object.values(CHAIN), ...DENY_REASONS.map(denyChain)])
      expect(chain.length).toBeLessThanOrEqual(28)
  })

  test('of sets differ where policy, ports or family do', () => {
    fc.assert(
      fc.property(policy, policy, lists, lists, (a, b, one, other) => {
        expect(allowSet(a, one, 4) === allowSet(b, other, 4)).toBe(a === b && one.text === other.text)
        expect(allowSet(a, one, 4)).not.toBe(allowSet(a, one, 6))
      }),
    )
  })

  test('a set has room for twice its elements', () => {
    for (const elements of [0, 1, 32_768, 32_769, 100_000, 5_000_000])
      expect(maxelemFor(elements)).toBeGreaterThanOrEqual(Math.max(65_536, elements * 2))
  })
})
