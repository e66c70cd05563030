import { describe, expect, test } from 'vitest'
import type { Address, Cidr, Hostname } from '../../../src/net/types.ts'
import { compile } from '../../../src/policy/compile.ts'
import { endOfAddress } from '../../../src/policy/ends.ts'
import type { Policies } from '../../../src/policy/model.ts'
import { onTrial } from '../../../src/policy/trial.ts'
import { configOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const MINUTE = 60_000
const until = (minutes: number): string => `until: '${new Date(NOW_MS + minutes * MINUTE).toISOString()}'`

const rights = async (...entries: string[]): Promise<Policies> =>
  compile(
    await configOf(['dns: { gateway: true }', 'allow:', ...entries.map((one) => `  - ${one}`)].join('\n')),
    [],
    NOW_MS,
  )

/** In minutes from now. */
const minutes = (ms: number): number => (ms - NOW_MS) / MINUTE

/** When the right to an address ends, in minutes, by the name or the network that gives it. */
function endOf(policies: Policies, target: string, address = '203.0.113.1'): number {
  const group = policies.policies[0]?.groups[0]
  return minutes(
    group?.cidrs.has(target as Cidr)
      ? (group.ends?.cidrs.get(target as Cidr) ?? Infinity)
      : endOfAddress(group?.ends, target as Hostname, address as Address),
  )
}
const internetEnd = ({ policies }: Policies): number => {
  const [ports] = policies[0]?.internet ?? []
  return minutes(policies[0]?.internetEnds?.get(ports?.text ?? '') ?? Infinity)
}

describe('the end of a right', () => {
  test.each([
    ['that one entry gives is its own', [`{ domain: a.example.com, ${until(5)} }`], 5],
    [
      'that two give is the later one',
      [`{ domain: a.example.com, ${until(5)} }`, `{ domain: a.example.com, ${until(9)} }`],
      9,
    ],
    [
      'that one gives for good is none',
      [`{ domain: a.example.com, ${until(5)} }`, 'a.example.com'],
      Infinity,
    ],
    ['without an end is none', ['a.example.com'], Infinity],
  ])('%s', async (_, entries, expected) => {
    expect(endOf(await rights(...entries), 'a.example.com')).toBe(expected)
    const networks = entries.map((one) =>
      one
        .replace('domain: a.example.com', 'cidr: 203.0.113.0/24')
        .replace(/^a\.example\.com$/, '{ cidr: 203.0.113.0/24 }'),
    )
    expect(endOf(await rights(...networks), '203.0.113.0/24')).toBe(expected)
    const wide = entries.map((one) =>
      one.replace('domain: a.example.com', 'to: internet').replace(/^a\.example\.com$/, '{ to: internet }'),
    )
    expect(internetEnd(await rights(...wide))).toBe(expected)
  })

  test('to private addresses is that of the entries that allow them', async () => {
    const one = await rights('a.example.com', `{ domain: a.example.com, private: true, ${until(5)} }`)
    expect([endOf(one, 'a.example.com', '203.0.113.1'), endOf(one, 'a.example.com', '10.0.0.1')]).toEqual([
      Infinity,
      5,
    ])
    const other = await rights(
      `{ domain: a.example.com, ${until(9)} }`,
      `{ domain: a.example.com, private: true, ${until(5)} }`,
    )
    expect([endOf(other, 'a.example.com', '203.0.113.1'), endOf(other, 'a.example.com', 'fd00::1')]).toEqual([
      9, 5,
    ])
  })

  test('changes no digest: live connections are judged again when it comes, not when it is moved', async () => {
    const digests = [
      `{ domain: a.example.com, ${until(5)} }`,
      `{ domain: a.example.com, ${until(9)} }`,
      'a.example.com',
    ]
    expect(new Set(await Promise.all(digests.map(async (one) => (await rights(one)).digest))).size).toBe(1)
  })
})

describe('on trial for ten minutes', () => {
  const tried = async (entry: string, ...before: string[]): Promise<Policies> =>
    onTrial(await rights(entry), await rights(...before), NOW_MS + 10 * MINUTE)

  test.each([
    ['what is new ends with it', 'a.example.com', ['b.example.com'], 10],
    ['what was allowed lasts', 'a.example.com', ['a.example.com'], Infinity],
    [
      'what was allowed on more ports lasts',
      '{ domain: a.example.com, ports: [80] }',
      ['a.example.com'],
      Infinity,
    ],
    [
      'what was allowed on other ports is new',
      '{ domain: a.example.com, ports: [22] }',
      ['a.example.com'],
      10,
    ],
    [
      'what was allowed for longer keeps that end',
      'a.example.com',
      [`{ domain: a.example.com, ${until(30)} }`],
      30,
    ],
    [
      'what was allowed for less ends with it',
      'a.example.com',
      [`{ domain: a.example.com, ${until(3)} }`],
      10,
    ],
    ['what ends sooner than it ends sooner', `{ domain: a.example.com, ${until(3)} }`, ['b.example.com'], 3],
    [
      'what is to end after it ends as it says',
      `{ domain: a.example.com, ${until(30)} }`,
      ['a.example.com'],
      30,
    ],
  ])('%s', async (_, entry, before, expected) => {
    expect(endOf(await tried(entry, ...before), 'a.example.com')).toBe(expected)
  })

  test('a network within one that was allowed lasts, a larger one does not', async () => {
    expect(endOf(await tried('{ cidr: 203.0.113.0/28 }', '{ cidr: 203.0.113.0/24 }'), '203.0.113.0/28')).toBe(
      Infinity,
    )
    expect(endOf(await tried('{ cidr: 203.0.113.0/24 }', '{ cidr: 203.0.113.0/28 }'), '203.0.113.0/24')).toBe(
      10,
    )
  })

  test('private addresses of a name are new where it had public ones only', async () => {
    const policies = await tried('{ domain: a.example.com, private: true }', 'a.example.com')
    expect(endOf(policies, 'a.example.com', '203.0.113.1')).toBe(Infinity)
    expect(endOf(policies, 'a.example.com', '10.0.0.1')).toBe(10)
  })

  test('the internet is new, unless it was open on those ports', async () => {
    expect(internetEnd(await tried('{ to: internet, ports: [443] }', '{ to: internet, ports: [80] }'))).toBe(
      10,
    )
    expect(
      internetEnd(await tried('{ to: internet, ports: [443] }', '{ to: internet, ports: [400-500] }')),
    ).toBe(Infinity)
  })

  test('live connections are judged again at its end, or at an earlier one', async () => {
    expect(minutes((await tried('a.example.com', 'a.example.com')).admittedUntilMs ?? 0)).toBe(10)
    const sooner = await tried(`{ domain: a.example.com, ${until(3)} }`, 'a.example.com')
    expect(minutes(sooner.admittedUntilMs ?? 0)).toBe(3)
    // The end of the trial is not the end of an entry: it has a clock of its own.
    expect((await tried('a.example.com', 'a.example.com')).nextEndMs).toBeUndefined()
  })
})
