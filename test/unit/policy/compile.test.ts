import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/policy/compile.ts'
import { configOf } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

const DAY = 86_400_000
const rights = async (yaml: string, nowMs = NOW_MS) => compile(await configOf(yaml), [], nowMs)

describe('rights', () => {
  test('gather entries of the same ports, whatever their order and spelling', async () => {
    const { policies } = await rights(
      'allow: [a.example.com, { domain: b.example.com, ports: [443/tcp, 80] }, "c.example.com:22"]\n',
    )
    expect(
      policies.map(({ id, groups }) => [
        id,
        groups.map(({ ports, names }) => [ports.text, [...names.keys()]]),
      ]),
    ).toEqual([
      [
        'common',
        [
          ['80/tcp,443/tcp', ['a.example.com', 'b.example.com']],
          ['22/tcp', ['c.example.com']],
        ],
      ],
    ])
  })

  test('of a name are private when one of its entries says so, for that port list only', async () => {
    const { policies, names } = await rights(
      'allow: [a.example.com, { domain: a.example.com, ports: [5432/tcp], private: true }]\n',
    )
    expect(policies[0]?.groups.map((group) => [...group.names.values()])).toEqual([[false], [true]])
    expect([...names.values()]).toEqual([{ private: true }])
  })

  test("below a wildcard are the pattern's, which nobody resolves", async () => {
    const { policies, names, patterns } = await rights(
      `dns: { gateway: true }
allow:
  - "*.example.com"
  - "*.Example.com."
  - { domain: "*.example.com", ports: [5432/tcp], private: true }
  - "**.example.com"
  - a.example.com
`,
    )
    expect(policies[0]?.groups.map((group) => [...group.names])).toEqual([
      [
        ['*.example.com', false],
        ['**.example.com', false],
        ['a.example.com', false],
      ],
      [['*.example.com', true]],
    ])
    expect([...names.keys()]).toEqual(['a.example.com'])
    expect([...patterns]).toEqual([
      ['*.example.com', { private: true }],
      ['**.example.com', { private: false }],
    ])
  })

  test('end with their day, and the next end is known', async () => {
    const yaml =
      'allow: [{ domain: a.example.com, until: 2026-06-20 }, { domain: b.example.com, until: 2026-07-20 }, c.example.com]\n'
    const now = await rights(yaml)
    expect([...now.names.keys()]).toEqual(['a.example.com', 'b.example.com', 'c.example.com'])
    const end = now.nextEndMs ?? 0
    expect(end).toBeGreaterThan(NOW_MS)
    expect(end).toBeLessThan(NOW_MS + 7 * DAY)
    expect([...(await rights(yaml, end - 1)).names.keys()]).toContain('a.example.com')
    const later = await rights(yaml, end)
    expect([...later.names.keys()]).toEqual(['b.example.com', 'c.example.com'])
    expect(later.digest).not.toBe(now.digest)
    expect((await rights(yaml, NOW_MS + 90 * DAY)).nextEndMs).toBeUndefined()
  })
})

describe('the digest', () => {
  const BASE = 'allow: [a.example.com, b.example.com]\n'
  test.each([
    ['the same again', BASE, true],
    ['names in another order', 'allow: [b.example.com, a.example.com]\n', true],
    ['a comment', 'allow: [{ domain: a.example.com, comment: x }, b.example.com]\n', true],
    ['how denials are answered', `${BASE}denyWith: reject\n`, true],
    ['a name less', 'allow: [a.example.com]\n', false],
    ['another port', 'allow: [a.example.com, "b.example.com:22"]\n', false],
    ['never', `${BASE}never: [203.0.113.0/24]\n`, false],
    ['more metadata', `${BASE}metadata: { extra: [203.0.113.9] }\n`, false],
    ['a mail budget', `${BASE}smtp: { rate: 5/minute, burst: 5 }\n`, false],
    ['the internet', 'allow: [a.example.com, b.example.com, { to: internet, ports: [443] }]\n', false],
    ['the gateway', `${BASE}dns: { gateway: true }\n`, false],
    ['the way of the gateway', `${BASE}dns: { denied: zero, maxTtl: 5m, port: 5353 }\n`, true],
    ['private answers', 'allow: [{ domain: a.example.com, private: true }, b.example.com]\n', false],
  ])('with %s', async (_, yaml, same) => {
    expect((await rights(yaml)).digest === (await rights(BASE)).digest).toBe(same)
  })

  const POLICY = 'policies: { a: { match: { network: x }, allow: [c.example.com] } }\n'
  test.each([
    ['the same again', POLICY, true],
    ['what its denials get', POLICY.replace('allow', 'denyWith: reject, allow'), false],
    ['who is meant', POLICY.replace('x', 'y'), false],
    ['the common list taken away', POLICY.replace('allow', 'inherit: false, allow'), false],
    ['metadata', POLICY.replace('allow', 'metadata: allow, allow'), false],
    ['whom labels attach', `guard: { labels: honour }\n${POLICY}`, false],
    ['what nobody known may', `guard: { unknown: deny }\n${POLICY}`, false],
  ])('of a policy with %s', async (_, yaml, same) => {
    expect((await rights(yaml)).digest === (await rights(POLICY)).digest).toBe(same)
  })

  test.each([
    ['the same again', '"*.example.com"', true],
    ['the same in other words', '"*.EXAMPLE.com."', true],
    ['any depth', '"**.example.com"', false],
    ['another suffix', '"*.example.net"', false],
    ['another port', '"*.example.com:22"', false],
    ['private answers', '{ domain: "*.example.com", private: true }', false],
    ['a name below', 'a.example.com', false],
  ])('of a wildcard with %s', async (_, entry, same) => {
    const digestOf = async (one: string) => (await rights(`dns: { gateway: true }\nallow: [${one}]\n`)).digest
    expect((await digestOf(entry)) === (await digestOf('"*.example.com"'))).toBe(same)
  })
})
