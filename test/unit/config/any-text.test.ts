import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseShorthand, parseTarget } from '../../../src/config/entry-text.ts'
import { readList } from '../../../src/config/list-file.ts'
import { parseEntry } from '../../../src/config/parse-entry.ts'
import { makeSource } from '../../../src/config/source.ts'
import { load } from './files.ts'

/** Whatever stands in a file or on a command line: a value or a reason, and never half of one. */

const GOOD = `denyWith: reject
guard: { networks: [shop], except: [], ignoreInterfaces: [br-lan] }
resolver: { servers: [198.51.100.1], refresh: { min: 30s, max: 5m }, sweep: "*/15 * * * *" }
allow:
  - api.example.com:443
  - { domains: [a.example.net, b.example.net], ports: [80/tcp, 443/tcp], until: 2027-01-31 }
  - { cidr: 198.51.100.0/24, ports: [8000-8100/tcp, icmp] }
never: [203.0.113.0/28]
smtp: { ports: [25], rate: 5/minute, burst: 5 }
`
const anyText = fc.string({ unit: 'binary', maxLength: 60 })
/** A good config with one stretch of it replaced. */
const damaged = fc
  .tuple(
    fc.nat(GOOD.length),
    fc.nat(20),
    fc.oneof(anyText, fc.constantFrom('', '\n', ': ', '- ', '[', '}', '*a', '&a', '!!x ', '\t')),
  )
  .map(([at, length, put]) => GOOD.slice(0, at) + put + GOOD.slice(at + length))

describe('a config', () => {
  test('of any text, or a good one damaged anywhere, is taken whole or refused with a place', () =>
    fc.assert(
      fc.asyncProperty(fc.oneof(anyText, damaged), async (text) => {
        const { config, problems } = await load(text)
        if (config !== undefined) return
        expect(problems.some(({ severity }) => severity === 'error')).toBe(true)
        const lines = text.split('\n').length
        for (const { line } of problems) {
          expect(line ?? 1).toBeGreaterThanOrEqual(1)
          expect(line ?? 1).toBeLessThanOrEqual(lines + 1)
        }
      }),
    ))

  test.each(['[', '{', '- ', '? ', 'a: [', '{a: ', '!!x [', '&a [', '[*a,'])(
    'that nests %j without end is refused, at its place',
    async (one) => {
      const { config, problems } = await load(one.repeat(20_000))
      expect(config).toBeUndefined()
      expect(problems.map(({ message }) => message)).toEqual(['the file nests or repeats too much'])
    },
  )

  test('of any other kind of file is refused with a hundred reasons at most', async () => {
    const { config, problems } = await load('] '.repeat(20_000))
    expect(config).toBeUndefined()
    expect(problems.length).toBeLessThanOrEqual(101)
  })

  test('that is good is taken', async () => {
    expect((await load(GOOD)).config).toBeDefined()
  })
})

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)
const name = fc.tuple(label, label, fc.constantFrom('example', 'net')).map((labels) => labels.join('.'))
const wildcard = fc.tuple(fc.constantFrom('*', '**'), name).map((parts) => parts.join('.'))
const target = fc.oneof(name, wildcard, fc.ipV4(), fc.ipV6())

describe('an entry', () => {
  test('of any text is an entry or a reason', () =>
    fc.assert(
      fc.property(fc.oneof(anyText, damaged, target), (text) => {
        const parsed = parseEntry(text, 'here', true)
        if ('entries' in parsed) expect(parsed.entries.length).toBeGreaterThan(0)
        else expect(parsed.reasons.length).toBeGreaterThan(0)
        const short = parseShorthand(text)
        expect('target' in short || short.reason !== '').toBe(true)
      }),
    ))

  test('with a port is the one without, with that port', () =>
    fc.assert(
      fc.property(target, fc.integer({ min: 1, max: 65_535 }), (text, port) => {
        const bare = parseTarget(text)
        const written = text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
        const parsed = parseShorthand(written)
        if ('reason' in bare) expect(parsed).toHaveProperty('reason')
        else
          expect(parsed).toMatchObject({
            target: bare.target,
            ports: { specs: [{ protocol: 'tcp', from: port, to: port }] },
          })
      }),
    ))
})

test('a list holds its targets and names every other line, at its place', () =>
  fc.assert(
    fc.property(
      fc.array(fc.oneof(target, fc.constantFrom('', '  ', '# words', 'a..b', 'x y', 'a.*.example.com')), {
        maxLength: 40,
      }),
      fc.array(fc.constantFrom('', ' # words', '\r', '  '), { maxLength: 40 }),
      (lines, tails) => {
        const text = lines.map((line, index) => `${line}${tails[index] ?? ''}`).join('\n')
        const { targets, problems } = readList(makeSource('list', text))
        const wanted = lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== '')
        const good = wanted.flatMap((line) => {
          const parsed = parseTarget(line)
          return 'target' in parsed ? [parsed.target] : []
        })
        expect(targets.map((one) => one.target)).toEqual(good)
        expect(problems).toHaveLength(wanted.length - good.length)
      },
    ),
  ))
