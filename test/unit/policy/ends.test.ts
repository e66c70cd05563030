import { describe, expect, test } from 'vitest'
import type { Address, Cidr, Hostname } from '../../../src/net/types.ts'
import { compile } from '../../../src/policy/compile.ts'
import { endOfAddress } from '../../../src/policy/ends.ts'
import type { Policies } from '../../../src/policy/model.ts'
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
