import type { PassResult } from '../../../src/reconcile/model.ts'
import { describe, expect, test } from 'vitest'
import { dockerRules, fateOf, packet, TestFirewall, type Probe } from '../../support/builders.ts'
import { FakeKernel, type Fate } from '../../support/fake-kernel.ts'

/** A write that breaks off anywhere leaves the host as closed as it was or as it is to be, never more open than both. */

const PROBES: readonly Probe[] = [
  '203.0.113.10',
  '203.0.113.20',
  '203.0.113.30',
  '203.0.113.99',
  '10.0.0.7',
  '169.254.169.254',
  '2001:db8::10',
  '2001:db8::20',
  '2001:db8::99',
  'fd00:ec2::254',
].flatMap((to) => [
  packet(to),
  packet(to, 25),
  packet(to, 5432),
  packet(to, 53, 'udp'),
  packet(to, undefined, 'icmp'),
  packet(to, 443, 'tcp', 'br-custom'),
])

interface Change {
  readonly what: string
  readonly before: string | undefined
  readonly after: string
}

const BEFORE = 'allow: [api.example.com, old.example.com, { cidr: 203.0.113.30, ports: [5432/tcp] }]\n'
const CHANGES: readonly Change[] = [
  { what: 'the first pass on a host', before: undefined, after: BEFORE },
  { what: 'an entry removed', before: BEFORE, after: 'allow: [api.example.com]\n' },
  { what: 'an entry added', before: 'allow: [api.example.com]\n', after: BEFORE },
  {
    what: 'everything changed',
    before: BEFORE,
    after:
      'allow: [{ to: internet, ports: [icmp] }, { cidr: 203.0.113.99, ports: [443/tcp] }]\nnever: [203.0.113.0/28]\nsmtp: { rate: 5/minute, burst: 5 }\ndenyWith: reject\n',
  },
  { what: 'nothing allowed any more', before: BEFORE, after: 'denyWith: drop\n' },
]
const NAMES = {
  'api.example.com': ['203.0.113.10', '2001:db8::10'],
  'old.example.com': ['203.0.113.20', '2001:db8::20'],
}

async function prepared({ before, after }: Change): Promise<{ kernel: FakeKernel; host: TestFirewall }> {
  const kernel = new FakeKernel()
  dockerRules(kernel)
  const host = await TestFirewall.start(kernel, { yaml: before ?? after, names: NAMES })
  if (before === undefined) return { kernel, host }
  await host.pass()
  await host.reload(after)
  return { kernel, host }
}

const outcomes = (kernel: FakeKernel) => PROBES.map((probe) => fateOf(kernel, probe))

describe.each(CHANGES)('$what', (change) => {
  test.each<Fate>(['fails', 'hangs', 'killed'])(
    'a write that breaks off (%s) leaves nothing open',
    { timeout: 60_000 },
    async (how) => {
      const whole = await prepared(change)
      const before = outcomes(whole.kernel)
      const start = whole.kernel.writes
      await whole.host.pass()
      const after = outcomes(whole.kernel)
      const writes = whole.kernel.writes - start
      expect(writes).toBeGreaterThan(3)
      for (let number = 1; number <= writes; number++) {
        const { kernel, host } = await prepared(change)
        kernel.breakAtWrite(number, how)
        const result = await host.pass().catch((error: unknown) => error)
        // Only what prepares the backstop for both generations may fail unseen: then everything stands.
        const seen = result instanceof Error || (result as PassResult).outcome === 'partial'
        if (!seen) expect(await host.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
        const broken = outcomes(kernel)
        for (const [index, { passes }] of broken.entries()) {
          const might = before[index]?.passes === true || after[index]?.passes === true
          const { destination, port, protocol } = PROBES[index] ?? packet('0.0.0.0')
          if (passes && !might) expect.fail(`write ${number}: ${destination} ${port}/${protocol} gets out`)
        }
        await converges(kernel, host, how, change)
        expect(outcomes(kernel).map(({ passes }) => passes)).toEqual(after.map(({ passes }) => passes))
      }
    },
  )
})

/** The next pass, of the same process or of the one that comes after a kill. */
async function converges(
  kernel: FakeKernel,
  host: TestFirewall,
  how: Fate,
  { after }: Change,
): Promise<void> {
  kernel.revive()
  const next =
    how === 'killed' ? await TestFirewall.start(kernel, { yaml: after, names: NAMES }, host.kept) : host
  expect(['changed', 'unchanged']).toContain((await next.pass()).outcome)
  expect(await next.pass()).toMatchObject({ outcome: 'unchanged', summary: [] })
}

test('a set half grown when the process died is grown by the next', async () => {
  const many = Array.from({ length: 33_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`)
  const yaml = 'allow: [api.example.com]\n'
  const kernel = new FakeKernel()
  const host = await TestFirewall.start(kernel, { yaml, names: NAMES })
  await host.pass()
  host.answer('api.example.com', [...NAMES['api.example.com'], ...many])
  kernel.breakAtWrite(20_000, 'killed')
  await expect(host.pass()).rejects.toThrow('broken off')
  expect(fateOf(kernel, packet('203.0.113.10')).passes).toBe(true)
  kernel.revive()
  const names = { 'api.example.com': [...NAMES['api.example.com'], ...many] }
  const next = await TestFirewall.start(kernel, { yaml, names }, host.kept)
  expect(await next.pass()).toMatchObject({ outcome: 'changed' })
  expect(await next.pass()).toMatchObject({ outcome: 'unchanged' })
  expect([...kernel.sets.all.keys()].filter((name) => name.endsWith('-new'))).toEqual([])
  expect(fateOf(kernel, packet('198.18.0.1')).passes).toBe(true)
})
