import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { diffRules } from '../../../src/targets/iptables/diff.ts'
import { renderCreate } from '../../../src/targets/ipset/render.ts'
import { FAMILIES } from '../../../src/net/types.ts'
import { renderBackstop } from '../../../src/targets/backstop/render.ts'
import { compile } from '../../../src/policy/compile.ts'
import { Desired } from '../../../src/reconcile/desired.ts'
import { configOf, planOf, SHOP, surroundingsOf, type World } from '../../support/builders.ts'
import { NOW_MS } from '../config/files.ts'

/**
 * Whole rule sets as they are given to the kernel, to be read by people when they change.
 * `UPDATE_GOLDEN=1` writes them anew.
 */
const CASES = [
  { name: 'nothing-allowed', yaml: 'denyWith: drop\n' },
  {
    name: 'typical',
    yaml: 'allow: [api.example.com, "db.example.com:5432", { cidr: 198.51.100.0/24, ports: [8000-8100/tcp, icmp] }]\n',
  },
  {
    name: 'mail-and-never',
    yaml: 'denyWith: reject\nallow: [{ domain: mail.example.com, ports: [25/tcp, 587/tcp] }]\nnever: [203.0.113.0/24, 2001:db8:bad::/48]\nsmtp: { rate: 5/minute, burst: 5 }\n',
  },
  {
    name: 'internet',
    yaml: 'allow: [{ to: internet, ports: [443/tcp] }, { cidr: 10.0.0.0/8, ports: any }]\nlog: { blocked: false }\n',
  },
  {
    name: 'until',
    yaml: 'allow: [{ cidr: 198.51.100.0/24, until: 2026-06-20 }, { to: internet, ports: [443/tcp], until: 2026-06-21 }, { to: internet, ports: [123/udp] }]\n',
  },
  {
    name: 'interfaces',
    yaml: 'allow: [api.example.com]\nguard: { mark: 0x10000 }\n',
    plan: planOf(
      [SHOP, { bridge: 'shopnet' }, { bridge: 'docker0' }],
      [
        { name: 'br-lan', index: 7, why: 'not a Docker bridge' },
        { name: 'virbr0', index: 8, why: 'ignored interface' },
      ],
    ),
    resolvers: ['169.254.169.253', '2001:db8::53'],
  },
  {
    name: 'gateway',
    yaml: 'dns: { gateway: true }\nguard: { hostNetwork: true }\nallow: [api.example.com, "*.example.net:443"]\n',
    resolvers: ['169.254.169.253', '198.51.100.53', '2001:db8::53'],
  },
  {
    name: 'policies',
    yaml: 'allow: [api.example.com]\nsmtp: {}\npolicies:\n  pay: { match: { network: pay }, allow: ["pay.example.com:443"], inherit: false, metadata: allow, denyWith: reject }\n',
    rights: {
      unknown: 'deny',
      classes: [
        { id: 1, key: '1', policies: ['common'], metadata: false, smtp: undefined, denyWith: 'drop' },
        {
          id: 2,
          key: '2',
          policies: ['pay'],
          metadata: true,
          smtp: {
            ports: [25],
            rate: { count: 100, per: 'hour' },
            burst: 5,
            per: 'container',
            destinations: 'allowed',
          },
          denyWith: 'reject',
        },
      ],
      members: [],
      ignoredLabels: 0,
    },
  },
] as const satisfies readonly ({ readonly name: string } & World)[]

describe.each(CASES)('$name', ({ name, yaml, ...around }) => {
  test('is built as reviewed', async () => {
    const config = await configOf(yaml)
    const text = render(
      new Desired({
        config,
        policies: compile(config, [], NOW_MS),
        hostFacts: surroundingsOf(around satisfies Omit<World, 'yaml'>),
        generation: 7,
        liveAddresses: () => [],
      }),
    )
    const file = fileOf(name)
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text)
    expect(existsSync(file), `${file} is missing: run with UPDATE_GOLDEN=1`).toBe(true)
    expect(text).toBe(readFileSync(file, 'utf8'))
  })
})

test('where marks are mixed nothing is asked that can change between two rules', () => {
  const text = readFileSync(fileOf('policies'), 'utf8')
  const mixing = text.split('\n').filter((line) => line.includes('--restore-mark --nfmask 0x0'))
  expect(mixing.length).toBeGreaterThan(4)
  for (const line of mixing) expect(line).not.toMatch(/--match-set|-m connmark|-m hashlimit/)
})

const fileOf = (name: string): string => join(import.meta.dirname, '..', '..', 'golden', `${name}.rules`)

function render(desired: Desired): string {
  const dataplane = desired.dataplane()
  const docker = new Map(
    ['INPUT', 'FORWARD', 'DOCKER-USER'].map((chain) => [
      chain,
      {
        policy: undefined,
        rules:
          chain === 'FORWARD'
            ? [
                {
                  text: '-j DOCKER-USER',
                  packets: 0,
                  bytes: 0,
                  key: undefined,
                  fingerprint: undefined,
                  target: 'DOCKER-USER',
                },
              ]
            : [],
      },
    ]),
  )
  const saved = { tables: new Map([['filter', { chains: docker }]]) }
  return [
    '# sets',
    ...dataplane.sets.map(renderCreate),
    '',
    ...FAMILIES.flatMap((family) => [
      `# IPv${family}`,
      ...diffRules(dataplane.rules[family], saved, family).map(({ input }) => input),
    ]),
    '# backstop',
    renderBackstop(dataplane.backstop),
  ].join('\n')
}
