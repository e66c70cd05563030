import { describe, expect, test } from 'vitest'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import type { Cidr, Family } from '../../../src/net/types.ts'
import { EngineRules, type EngineFacts } from '../../../src/reconcile/engine-rules.ts'
import type { Network } from '../../../src/workloads/model.ts'

const network = (
  name: string,
  bridge: string,
  subnets: readonly string[],
  more?: Partial<Network>,
): Network => ({
  id: `id-${name}`,
  name,
  driver: 'bridge',
  bridge,
  subnets: subnets as readonly Cidr[],
  gateways: [],
  internal: false,
  ipv6: false,
  ...more,
})

const BRIDGE = network('bridge', 'docker0', ['172.17.0.0/16'])
const SHOP = network('shop', 'br-shop', ['172.18.0.0/16', 'fd00:5::/64'])
const ON = { 4: true, 6: true } as const
const UNKNOWN = { 4: undefined, 6: undefined } as const

/** Chain → rules of one table, as iptables-save prints them. */
type Chains = Readonly<Record<string, readonly string[]>>

/** Of engine 20.10, with a container that publishes a port. */
const OLD: { readonly filter: Chains; readonly nat: Chains } = {
  filter: {
    FORWARD: [
      '-j DOCKER-USER',
      '-j DOCKER-ISOLATION-STAGE-1',
      '-o br-shop -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-o br-shop -j DOCKER',
      '-i br-shop ! -o br-shop -j ACCEPT',
      '-i br-shop -o br-shop -j ACCEPT',
      '-o docker0 -j DOCKER',
    ],
    DOCKER: ['-d 172.18.0.2/32 ! -i br-shop -o br-shop -p tcp -m tcp --dport 80 -j ACCEPT'],
    'DOCKER-ISOLATION-STAGE-1': [
      '-i br-shop ! -o br-shop -j DOCKER-ISOLATION-STAGE-2',
      '-i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
      '-j RETURN',
    ],
    'DOCKER-ISOLATION-STAGE-2': ['-o br-shop -j DROP', '-o docker0 -j DROP', '-j RETURN'],
    'DOCKER-USER': ['-j RETURN'],
  },
  nat: {
    PREROUTING: ['-m addrtype --dst-type LOCAL -j DOCKER'],
    OUTPUT: ['! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER'],
    POSTROUTING: [
      '-s 172.18.0.0/16 ! -o br-shop -j MASQUERADE',
      '-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      '-s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE',
    ],
    DOCKER: [
      '-i br-shop -j RETURN',
      '-i docker0 -j RETURN',
      '! -i br-shop -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80',
    ],
  },
}

/** Of engine 28. */
const NEW: typeof OLD = {
  filter: {
    FORWARD: ['-j DOCKER-USER', '-j DOCKER-FORWARD'],
    'DOCKER-FORWARD': [
      '-j DOCKER-CT',
      '-j DOCKER-ISOLATION-STAGE-1',
      '-j DOCKER-BRIDGE',
      '-i docker0 -j ACCEPT',
      '-i br-shop -j ACCEPT',
    ],
    'DOCKER-CT': [
      '-o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
      '-o br-shop -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    ],
    'DOCKER-ISOLATION-STAGE-1': ['-i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2'],
    'DOCKER-ISOLATION-STAGE-2': ['-o docker0 -j DROP', '-o br-shop -j DROP'],
    'DOCKER-BRIDGE': ['-o docker0 -j DOCKER', '-o br-shop -j DOCKER'],
    DOCKER: ['! -i docker0 -o docker0 -j DROP', '! -i br-shop -o br-shop -j DROP'],
    'DOCKER-USER': [],
  },
  nat: {
    PREROUTING: ['-m addrtype --dst-type LOCAL -j DOCKER'],
    POSTROUTING: [
      '-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
      '-s 172.18.0.0/16 ! -o br-shop -j MASQUERADE',
    ],
    DOCKER: ['! -i br-shop -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80'],
  },
}

/** What an engine has for IPv6 there. */
const SIX: typeof OLD = {
  filter: NEW.filter,
  nat: {
    PREROUTING: ['-m addrtype --dst-type LOCAL -j DOCKER'],
    POSTROUTING: ['-s fd00:5::/64 ! -o br-shop -j MASQUERADE'],
    DOCKER: [],
  },
}

function saved(tables: typeof OLD | undefined, family: Family = 4) {
  const text = Object.entries(tables ?? {}).map(([table, chains]) => {
    const names = Object.keys(chains).map((chain) => `:${chain} - [0:0]\n`)
    const rules = Object.entries(chains).flatMap(([chain, some]) =>
      some.map((rule) => `[0:0] -A ${chain} ${rule}\n`),
    )
    return `*${table}\n${names.join('')}${rules.join('')}COMMIT\n`
  })
  return parseSave(text.join(''), family)
}

/** Without the rules of these chains, which stay themselves. */
const flushed = (tables: typeof OLD, table: 'filter' | 'nat', ...chains: readonly string[]): typeof OLD => ({
  ...tables,
  [table]: Object.fromEntries(
    Object.entries(tables[table]).map(([chain, rules]) => [
      chain,
      chains.length === 0 || chains.includes(chain) ? [] : rules,
    ]),
  ),
})

function engineWith(facts: Partial<EngineFacts> = {}) {
  let nowMs = 0
  const engine = new EngineRules(() => nowMs)
  const all: EngineFacts = { networks: [BRIDGE, SHOP], switches: ON, ...facts }
  const look = (
    four: ReturnType<typeof saved> | undefined,
    six?: ReturnType<typeof saved>,
    more?: Partial<EngineFacts>,
  ) => engine.look({ ...(four ? { 4: four } : {}), ...(six ? { 6: six } : {}) }, { ...all, ...more })
  /** What is said after a while. */
  const lasting = (...args: Parameters<typeof look>): string | undefined => {
    look(...args)
    nowMs += 4_000
    return look(...args)
  }
  return { engine, look, lasting }
}

describe.each([
  ['20.10', OLD],
  ['28', NEW],
])('the rules of engine %s', (_, tables) => {
  test('are whole, also when a published port goes', () => {
    const { lasting } = engineWith()
    expect(lasting(saved(tables))).toBeUndefined()
    const DOCKER = tables.nat['DOCKER']?.slice(0, -1) ?? []
    const filterDocker = (tables.filter['DOCKER'] ?? []).filter((rule) => !rule.includes('-p tcp'))
    const without = {
      filter: { ...tables.filter, DOCKER: filterDocker },
      nat: { ...tables.nat, DOCKER, POSTROUTING: tables.nat['POSTROUTING']?.slice(0, 2) ?? [] },
    }
    expect(lasting(saved(without))).toBeUndefined()
  })

  test('of a network that is not listed yet are no part of the others', () => {
    const { lasting } = engineWith()
    // Its rules come before the engine tells of it, and are the first that lead there.
    expect(lasting(saved(tables), undefined, { networks: [BRIDGE] })).toBeUndefined()
    const withoutIt = Object.fromEntries(
      Object.entries(tables.filter).map(([chain, rules]) => [
        chain,
        rules.filter((rule) => !rule.includes('br-shop')),
      ]),
    )
    expect(
      lasting(saved({ ...tables, filter: withoutIt }), undefined, { networks: [BRIDGE] }),
    ).toBeUndefined()
    expect(lasting(saved(tables))).toBeUndefined()
  })

  test.each([
    ['all of them', undefined, 'forwarding, IPv4 isolation, IPv4 masquerading, IPv4 published ports'],
    ['FORWARD', flushed(tables, 'filter', 'FORWARD'), 'forwarding'],
    ['all of filter', flushed(tables, 'filter'), 'forwarding, IPv4 isolation'],
    ['all of nat', flushed(tables, 'nat'), 'masquerading, IPv4 published ports'],
    ['POSTROUTING', flushed(tables, 'nat', 'POSTROUTING'), 'masquerading'],
    ['PREROUTING', flushed(tables, 'nat', 'PREROUTING'), 'published ports'],
    ['isolation', flushed(tables, 'filter', 'DOCKER-ISOLATION-STAGE-2'), 'isolation of bridge, shop'],
  ])('are missed when somebody flushes %s, and no longer when they are back', (_, left, words) => {
    const { look, lasting } = engineWith()
    expect(lasting(saved(tables))).toBeUndefined()
    expect(look(saved(left))).toBeUndefined()
    expect(lasting(saved(left))).toContain(words)
    // A pass that did not look says what the last one found.
    expect(look(undefined)).toMatch(/^rules of the Docker engine are gone \(IPv4 .*\): restart the engine/)
    expect(look(saved(tables))).toBeUndefined()
  })

  test.each([
    ['all of them', undefined, ON],
    ['FORWARD', flushed(tables, 'filter', 'FORWARD'), ON],
    ['POSTROUTING', flushed(tables, 'nat', 'POSTROUTING'), UNKNOWN],
    ['all of nat', flushed(tables, 'nat'), UNKNOWN],
  ])('are missed by a daemon that starts after somebody flushed %s', (_, left, switches) => {
    expect(engineWith({ switches }).lasting(saved(left))).toMatch(/^rules of the Docker engine are gone/)
  })

  test('are missed for one network of several, by its name', () => {
    const { lasting } = engineWith()
    lasting(saved(tables))
    const POSTROUTING = (tables.nat['POSTROUTING'] ?? []).filter((rule) => !rule.includes('! -o br-shop'))
    expect(lasting(saved({ ...tables, nat: { ...tables.nat, POSTROUTING } }))).toBe(
      'rules of the Docker engine are gone (IPv4 masquerading of shop): restart the engine, which puts them back',
    )
    const gone = { networks: [BRIDGE] }
    expect(
      lasting(saved({ ...tables, nat: { ...tables.nat, POSTROUTING } }), undefined, gone),
    ).toBeUndefined()
  })
})

describe('what an engine never had', () => {
  test('by its own settings is not missed', () => {
    const off = engineWith({ switches: { 4: false, 6: false } })
    expect(off.lasting(saved(undefined), saved(undefined, 6))).toBeUndefined()
    expect(off.lasting(saved(OLD))).toBeUndefined()
    expect(off.lasting(saved(undefined))).toBeUndefined()
    // Nobody knows whether it keeps any, and nothing of them stands.
    expect(engineWith({ switches: UNKNOWN }).lasting(saved(undefined))).toBeUndefined()
  })

  test('since no network needs it is not missed', () => {
    const none = flushed(NEW, 'nat', 'POSTROUTING')
    const routed = { ...BRIDGE, unmasqueraded: [4] as const }
    expect(engineWith({ networks: [routed] }).lasting(saved(none))).toBeUndefined()
    expect(
      engineWith({ networks: [{ ...BRIDGE, internal: true }] }).lasting(saved(undefined)),
    ).toBeUndefined()
    expect(engineWith({ networks: [] }).lasting(saved(undefined))).toBeUndefined()
    expect(engineWith({ networks: [BRIDGE] }).lasting(saved(NEW), saved(undefined, 6))).toBeUndefined()
  })

  test('is not missed after a restart of the engine that changed its mind', () => {
    const { engine, lasting } = engineWith({ switches: UNKNOWN })
    expect(lasting(saved(OLD))).toBeUndefined()
    engine.forget()
    expect(lasting(saved(NEW))).toBeUndefined()
    expect(lasting(saved(OLD))).toContain('gone')
  })
})

test('IPv6 is looked at by itself, and each family says what was last found of it', () => {
  const { look, lasting } = engineWith()
  expect(lasting(saved(NEW), saved(SIX, 6))).toBeUndefined()
  const left = saved(flushed(SIX, 'nat'), 6)
  expect(lasting(saved(NEW), left)).toContain('(IPv6 masquerading, IPv6 published ports)')
  expect(look(saved(NEW))).toContain('(IPv6 masquerading')
  expect(look(undefined, saved(SIX, 6))).toBeUndefined()
  expect(engineWith().lasting(saved(NEW), saved(undefined, 6))).toContain('IPv6 forwarding')
  // Told to keep rules for IPv6 by an old engine, or not to be told of: its chains decide.
  const unknown = { switches: { 4: true, 6: undefined } }
  expect(engineWith(unknown).lasting(saved(NEW), saved(undefined, 6))).toBeUndefined()
  expect(engineWith(unknown).lasting(saved(NEW), left)).toContain('IPv6 masquerading')
})
