import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Address } from '../../../src/net/types.ts'
import { fateOf, packet, TestFirewall, WHOLE } from '../../support/builders.ts'
import { FakeKernel } from '../../support/fake-kernel.ts'

/** A right that ends by itself ends in the kernel, though nobody is left who could take it away. */

const EVERYTHING = { ...WHOLE, everything: true }
const isOpen = (kernel: FakeKernel, address: string, port = 443): boolean =>
  fateOf(kernel, packet(address, port)).passes
const until = (ms: number): string => `until: '${new Date(ms).toISOString()}'`

describe('after the last pass', () => {
  test('every kind of right ends at its time, and what lasts beside it stays', async () => {
    const kernel = new FakeKernel()
    const endMs = kernel.nowMs + 60_000
    const one = await TestFirewall.start(kernel, {
      yaml: `resolver: { refresh: { max: 1m }, retain: 1m, maxStale: 10m }
allow:
  - { cidr: 203.0.113.1, ${until(endMs)} }
  - { domain: a.example.com, ${until(endMs)} }
  - { domain: b.example.com, ${until(endMs)} }
  - c.example.com
  - { to: internet, ports: [9418], ${until(endMs)} }
  - { to: internet, ports: [123/udp] }
`,
      names: {
        'a.example.com': ['203.0.113.2'],
        'b.example.com': ['203.0.113.3'],
        'c.example.com': ['203.0.113.3', '203.0.113.4'],
      },
    })
    await one.pass()
    const ending = ['203.0.113.1', '203.0.113.2']
    const lasting = ['203.0.113.3', '203.0.113.4']
    const open = () => [...ending, ...lasting].filter((address) => isOpen(kernel, address))
    kernel.nowMs = endMs - 1
    expect(open()).toEqual([...ending, ...lasting])
    expect(isOpen(kernel, '198.51.100.9', 9418)).toBe(true)
    kernel.nowMs = endMs
    expect(open()).toEqual(lasting)
    expect(isOpen(kernel, '198.51.100.9', 9418)).toBe(false)
    expect(fateOf(kernel, packet('198.51.100.9', 123, 'udp')).passes).toBe(true)
    // The dead man's switch is what it was.
    kernel.nowMs += 540_000 - 1
    expect(open()).toEqual(lasting)
    kernel.nowMs += 1
    expect(open()).toEqual([])
  })

  test('an address that is brought beside the passes ends with its right, and lasts when a right that lasts brings it too', async () => {
    const kernel = new FakeKernel()
    const endMs = kernel.nowMs + 60_000
    const one = await TestFirewall.start(kernel, {
      yaml: `allow: [{ domain: a.example.com, ${until(endMs)} }, b.example.com]\n`,
    })
    await one.pass()
    const { membership } = one.desired
    const bring = async (name: string): Promise<void> => {
      const held = {
        address: '203.0.113.5' as Address,
        family: 4,
        private: false,
        seenAtMs: 0,
        expiresAtMs: 0,
      } as const
      const sets = membership.include(name as Parameters<typeof membership.include>[0], held)
      const places = sets.map((set) => ({ set, element: held.address }))
      await one.firewall.keepers.sets.fastPath.ensure(places, membership, 86_400, kernel.nowMs)
    }
    await bring('a.example.com')
    kernel.nowMs = endMs - 1
    expect(isOpen(kernel, '203.0.113.5')).toBe(true)
    await bring('b.example.com')
    kernel.nowMs = endMs + 3_600_000
    expect(isOpen(kernel, '203.0.113.5')).toBe(true)
  })
})

/** Seconds from the start; none: for good. */
interface Entry {
  readonly target: string
  readonly end: number | undefined
}
const TARGETS = ['203.0.113.1', '203.0.113.2', '203.0.113.0/30', '0.0.0.0/0']
const entries: fc.Arbitrary<readonly Entry[]> = fc.array(
  fc.record({
    target: fc.constantFrom(...TARGETS),
    end: fc.option(fc.integer({ min: 1, max: 400 }), { nil: undefined }),
  }),
  { maxLength: 5 },
)
const steps = fc.array(
  fc.record({ seconds: fc.integer({ min: 0, max: 60 }), reload: fc.option(entries, { nil: undefined }) }),
  { minLength: 1, maxLength: 6 },
)
const MAX_STALE = 200

test('whatever ends, is moved and renewed: nothing is open after its end, and nothing is lost before it', () =>
  fc.assert(
    fc.asyncProperty(entries, steps, fc.integer({ min: 0, max: 500 }), async (first, later, after) => {
      const kernel = new FakeKernel()
      const startMs = kernel.nowMs
      const yamlOf = (all: readonly Entry[]): string =>
        [
          `resolver: { refresh: { max: 1m }, retain: 1m, maxStale: ${MAX_STALE}s }`,
          'allow:',
          ...all.map(
            ({ target, end }) =>
              `  - { cidr: ${target}${end === undefined ? '' : `, ${until(startMs + end * 1000)}`} }`,
          ),
          ...(all.length === 0 ? ['  []'] : []),
        ].join('\n')
      let now = first
      const one = await TestFirewall.start(kernel, { yaml: yamlOf(now) })
      const secondsNow = (): number => (kernel.nowMs - startMs) / 1000
      const lastsUntil = (address: string): number =>
        Math.max(
          -1,
          ...now
            .filter(({ target }) => target === address || target.includes('/'))
            .map(({ end }) => end ?? Infinity),
        )
      const check = (lastPass: number): void => {
        for (const address of ['203.0.113.1', '203.0.113.2']) {
          const left = Math.min(lastsUntil(address), lastPass + MAX_STALE)
          // Rounded as the tools round.
          if (secondsNow() >= left + 2) expect(isOpen(kernel, address), `${address} ends`).toBe(false)
          const sure = Math.min(lastsUntil(address), lastPass + MAX_STALE / 2)
          if (secondsNow() < sure - 2) expect(isOpen(kernel, address), `${address} lasts`).toBe(true)
        }
      }
      await one.pass(EVERYTHING)
      for (const { seconds, reload } of later) {
        const lastPass = secondsNow()
        kernel.nowMs += seconds * 1000
        check(lastPass)
        if (reload) now = reload
        await one.reload(yamlOf(now))
        await one.pass(EVERYTHING)
        check(secondsNow())
      }
      const lastPass = secondsNow()
      kernel.nowMs += after * 1000
      check(lastPass)
    }),
    { numRuns: 60 },
  ))
