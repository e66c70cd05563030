import { describe, expect, test } from 'vitest'
import { openEntries } from '../../../src/status/open-entries.ts'
import { shareHeld } from '../../../src/net/coverage.ts'
import type { Cidr } from '../../../src/net/types.ts'
import { parseEntry } from '../../../src/config/parse-entry.ts'
import { compile } from '../../../src/policy/compile.ts'
import { configOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const cidrs = (...texts: string[]) => texts as Cidr[]

test.each([
  ['0.0.0.0/0', ['0.0.0.0/0'], 1],
  ['0.0.0.0/0', ['0.0.0.0/1'], 0.5],
  ['0.0.0.0/0', ['0.0.0.0/1', '0.0.0.0/2', '64.0.0.0/2'], 0.5],
  ['0.0.0.0/0', ['128.0.0.0/1', '0.0.0.0/1', '128.0.0.0/9'], 1],
  ['0.0.0.0/0', ['::/0'], 0],
  ['2000::/3', ['::/0'], 1],
  ['2000::/3', ['2000::/4', 'fc00::/7', '2001:db8::1'], 0.5],
])('of %s, %j holds %d', (whole, networks, share) =>
  expect(shareHeld(whole as Cidr, cidrs(...networks))).toBeCloseTo(share, 9),
)

const openOf = async (yaml: string, temporary: string[] = []) => {
  const config = await configOf(yaml)
  const entries = temporary.flatMap((text) => {
    const parsed = parseEntry(text, 'a command', true)
    if ('reasons' in parsed) throw new Error(parsed.reasons.join())
    return parsed.entries
  })
  return openEntries(config, compile(config, entries, NOW_MS))
}

describe('a policy is open', () => {
  test('by one network that is everything, whatever the ports', async () => {
    expect(await openOf('allow:\n  - { cidr: 0.0.0.0/0, ports: [443/tcp] }\n')).toEqual([
      { policy: 'common', entries: [expect.stringMatching(/^0\.0\.0\.0\/0 \(.*embargod\.yaml:2:13\)$/)] },
    ])
  })

  test('in both families, named once with both entries', async () => {
    const [one, ...others] = await openOf('allow: [a.example.com, "::/0", 0.0.0.0/0, 198.51.100.0/24]\n')
    expect(others).toEqual([])
    expect(one?.entries.map((entry) => entry.split(' ')[0])).toEqual(['0.0.0.0/0', '::/0'])
  })

  test('by networks that are nearly everything together, over several port lists', async () => {
    const [one] = await openOf(
      'allow: ["0.0.0.0/2:80", 64.0.0.0/3, "128.0.0.0/3:22", 224.0.0.0/3, 208.0.0.0/4, 200.0.0.0/5, 104.0.0.0/5, 112.0.0.0/5]\n',
    )
    expect(one?.entries).toHaveLength(4)
    expect(one?.entries.at(-1)).toBe('5 more')
  })

  test('of its own, and by what is allowed for a while', async () => {
    const found = await openOf('policies: { shop: { match: { network: shop }, allow: [0.0.0.0/0] } }\n', [
      '[::/0]:443',
    ])
    expect(found).toEqual([
      { policy: 'common', entries: ['::/0 (allowed for a while)'] },
      { policy: 'shop', entries: [expect.stringContaining('0.0.0.0/0 (')] },
    ])
  })

  test.each([
    ['half of it', 'allow: [0.0.0.0/2, 64.0.0.0/3, "2000::/4"]\n'],
    ['to: internet, which is a choice', 'allow: [{ to: internet, ports: [any] }]\n'],
    ['an entry whose time is over', 'allow: [{ cidr: 0.0.0.0/0, until: 2020-01-01 }]\n'],
    ['nothing', 'allow: []\n'],
  ])('and not by %s', async (_what, yaml) => expect(await openOf(yaml)).toEqual([]))
})
