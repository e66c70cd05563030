import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hostname } from '../../../src/net/types.ts'
import { compile } from '../../../src/policy/compile.ts'
import { NameTable } from '../../../src/policy/name-table.ts'
import type { Policy } from '../../../src/policy/model.ts'
import { portList } from '../../../src/net/ports.ts'
import { configOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const table = async (yaml: string) =>
  new NameTable(compile(await configOf(`dns: { gateway: true }\n${yaml}`), [], NOW_MS).policies)
const granted = (names: NameTable, name: string): string[] =>
  names.match(name).map(({ policy, as }) => `${policy} ${as}`)

describe('a name is granted', () => {
  const YAML = 'allow: [a.example.com, "*.example.com", "**.deep.example.com", "**.example.net"]\n'
  test.each([
    ['a.example.com', 'a.example.com'],
    ['b.example.com', '*.example.com'],
    ['deep.example.com', '*.example.com'],
    ['x.deep.example.com', '**.deep.example.com'],
    ['z.y.x.deep.example.com', '**.deep.example.com'],
    ['_sip.example.com', '*.example.com'],
    ['a.example.net', '**.example.net'],
    ['c.b.a.example.net', '**.example.net'],
    ['xn--bcher-kva.example.net', '**.example.net'],
  ])('%s by %s', async (name, as) => {
    expect(granted(await table(YAML), name)).toEqual([`common ${as}`])
  })

  test.each([
    'example.com',
    'example.net',
    'b.a.example.com',
    'x.a.example.com',
    'evilexample.com',
    'evil-example.com',
    'x.evilexample.net',
    'example.com.evil.org',
    'a.example.com.evil.org',
    'com',
    '',
  ])('"%s" by none', async (name) => {
    expect(granted(await table('allow: [a.example.com, "*.example.com", "**.example.net"]\n'), name)).toEqual(
      [],
    )
  })

  test('by the most specific alone of what one policy lists', async () => {
    const names = await table(
      `allow:
  - "**.example.com"
  - "*.example.com"
  - { domain: "*.a.example.com", private: true }
  - { domain: "b.example.com", ports: [22] }
`,
    )
    expect(names.match('x.a.example.com')).toMatchObject([
      { policy: 'common', as: '*.a.example.com', private: true },
    ])
    expect(granted(names, 'y.x.a.example.com')).toEqual(['common **.example.com'])
    expect(granted(names, 'x.example.com')).toEqual(['common *.example.com'])
    expect(names.match('b.example.com')).toMatchObject([
      { policy: 'common', as: 'b.example.com', private: false },
    ])
  })

  test('by every policy that lists it, each by its own', async () => {
    const names = await table(
      `allow: ["**.example.com"]
policies:
  shop: { match: { network: a }, allow: ["*.example.com", { domain: "*.example.com", ports: [22], private: true }] }
  web: { match: { network: b }, allow: [www.example.com] }
`,
    )
    const found = names.match('www.example.com')
    expect(found.map((grant) => ({ ...grant, ports: grant.ports.map(({ text }) => text) }))).toEqual(
      expect.arrayContaining([
        { policy: 'web', as: 'www.example.com', private: false, ports: ['80/tcp,443/tcp'] },
        { policy: 'shop', as: '*.example.com', private: true, ports: ['80/tcp,443/tcp', '22/tcp'] },
        { policy: 'common', as: '**.example.com', private: false, ports: ['80/tcp,443/tcp'] },
      ]),
    )
    expect(granted(names, 'x.example.com').toSorted()).toEqual([
      'common **.example.com',
      'shop *.example.com',
    ])
    expect(granted(names, 'y.x.example.com')).toEqual(['common **.example.com'])
  })
})

const label = fc.constantFrom('a', 'b', 'aa', 'xn--a', '_a')
const name = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join('.'))
const pattern = fc.tuple(fc.constantFrom('', '*.', '**.'), name).map((parts) => parts.join('') as Hostname)
const policies: fc.Arbitrary<Policy[]> = fc
  .array(fc.array(fc.dictionary(pattern, fc.boolean(), { maxKeys: 6 }), { maxLength: 2 }), { maxLength: 3 })
  .map((lists) =>
    lists.map((groups, id) => ({
      id: `p${id}`,
      groups: groups.map((names) => ({
        ports: portList([]),
        names: new Map(Object.entries(names) as [Hostname, boolean][]),
        cidrs: new Map(),
      })),
      internet: [],
    })),
  )

/** How many labels a pattern pins down, with the exact name above all; undefined: it doesn't cover the name. */
function weight(written: string, asked: string): number | undefined {
  if (written === asked) return Infinity
  const [stars = '', ...rest] = written.split('.')
  if (!stars.startsWith('*') || !asked.endsWith(`.${rest.join('.')}`)) return undefined
  const above = asked.split('.').length - rest.length
  if (stars === '*') return above === 1 ? rest.length + 0.5 : undefined
  return rest.length
}

test('whatever is listed and asked, the table answers as going through the lists does', () =>
  fc.assert(
    fc.property(policies, name, (lists, asked) => {
      const expected = lists.flatMap(({ id, groups }) => {
        const listed = groups.flatMap(({ names }) => [...names])
        const best = Math.max(...listed.map(([written]) => weight(written, asked) ?? -1))
        const winners = listed.filter(([written]) => weight(written, asked) === best)
        if (best < 0) return []
        return [{ policy: id, as: winners[0]?.[0], private: winners.some(([, isPrivate]) => isPrivate) }]
      })
      const found = new NameTable(lists).match(asked)
      expect(found.toSorted((a, b) => (a.policy < b.policy ? -1 : 1))).toMatchObject(expected)
      expect(found).toHaveLength(expected.length)
    }),
    { numRuns: 2000 },
  ))
