import { expect, test } from 'vitest'
import { changeLines, changeOf } from '../../../src/config/change.ts'
import { fakeEnv, MAIN, NOW_MS } from './files.ts'
import { loadConfig } from '../../../src/config/load.ts'

/** What a reload says that it changed. */
async function lines(before: string, after: string): Promise<string[]> {
  const [was, is] = await Promise.all(
    [before, after].map(async (text) => {
      const { config, problems } = await loadConfig(MAIN, fakeEnv({ [MAIN]: `${text}\n` }))
      if (!config) throw new Error(JSON.stringify(problems))
      return config
    }),
  )
  if (!was || !is) throw new Error('two configs')
  return changeLines(changeOf(was, is, NOW_MS))
}

test.each([
  ['allow: [a.example]', '# moved\nallow: [ a.example ]', []],
  [
    'allow: [a.example]',
    'allow: ["b.example:443"]',
    ['allowed anew: b.example 443/tcp', 'no longer: a.example 80/tcp,443/tcp'],
  ],
  [
    'allow: [a.example]',
    'allow: [{ domain: a.example, until: 2020-01-01 }]',
    ['no longer: a.example 80/tcp,443/tcp'],
  ],
  [
    'allow: [a.example]',
    'allow: [{ domain: a.example, until: 2030-01-01 }]',
    ['a.example 80/tcp,443/tcp: without end -> until 2030-01-02T00:00:00.000Z'],
  ],
  ['denyWith: drop', 'denyWith: reject', ['denyWith: drop -> reject']],
  ['resolver: { retain: 10m }', 'resolver: { retain: 90s }', ['resolver.retain: 10m -> 1m30s']],
  ['dns: { maxHold: 50ms }', 'dns: { maxHold: 1s }', ['dns.maxHold: 50ms -> 1s']],
  ['never: [192.0.2.0/24]', 'never: [198.51.100.0/24]', ['never: +198.51.100.0/24, -192.0.2.0/24']],
  [
    'allow: []',
    'smtp: { rate: 100/hour }',
    [
      'smtp: none -> { ports: 25, 465, 587, rate: 100/hour, burst: 100, per: container, destinations: allowed }',
    ],
  ],
  ['smtp: { rate: 5/hour, burst: 9 }', 'smtp: { rate: 6/hour, burst: 9 }', ['smtp.rate: 5/hour -> 6/hour']],
  ['verify: { every: never }', 'verify: { every: 1m }', ['verify.every: none -> 1m']],
  [
    'metrics: { listen: "127.0.0.1:1" }',
    'metrics: { listen: "127.0.0.1:2" }',
    ['metrics.listen: 127.0.0.1:1 -> 127.0.0.1:2'],
  ],
  [
    'guard: { hostServices: [icmp] }',
    'guard: { hostServices: [icmp, 9100/tcp] }',
    ['guard.hostServices.ports: icmp -> 9100/tcp,icmp'],
  ],
  ['guard: { mark: 0x20000000 }', 'guard: { mark: 0x1000000 }', ['guard.mark: 0x20000000 -> 0x1000000']],
  [
    'allow: []',
    'policies: { a: { match: { container: x }, allow: ["b.example:443"] } }',
    ['allowed anew: b.example 443/tcp for a', 'policies.a: new'],
  ],
  [
    'policies: { a: { match: { container: x } } }',
    'policies: { a: { match: { container: y }, inherit: false } }',
    ['policies.a.match: { container: x } -> { container: y }', 'policies.a.inherit: true -> false'],
  ],
])('%s, then %s', async (before, after, expected) => {
  expect(await lines(before, after)).toEqual(expected)
})

test('a long list is cut, and says so', async () => {
  const many = Array.from({ length: 30 }, (_, index) => `"n${index}.example:443"`).join(', ')
  const [line = ''] = await lines('allow: []', `allow: [${many}]`)
  expect(line).toMatch(/n9\.example 443\/tcp, and 20 more$/)
})
