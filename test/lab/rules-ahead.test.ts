import { beforeAll, describe, expect, test } from 'vitest'
import type { Family } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import { closesDirectWays } from './engines.ts'
import { steadyFlood } from './leaks.ts'
import { reached, origin } from './reach.ts'
import { insertRules, rulesOf } from './rules.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { LiveConnection } from './web.ts'

/** Rules of others that accept packets in FORWARD before these reach DOCKER-USER: nothing gets out by them, and nothing allowed is lost. */
const lab = useLab({ name: 'ahead' })

const BRIDGE = 'com.docker.network.bridge'
const FAMILIES: readonly Family[] = [4, 6]
const ALLOWED = { 4: '203.0.113.12', 6: '2001:db8:f::12' } as const
const REVOKED = { 4: '203.0.113.13', 6: '2001:db8:f::13' } as const
const FORBIDDEN = { 4: '203.0.113.66', 6: '2001:db8:f::66' } as const

const entry = (address: string): string => `{ cidr: ${JSON.stringify(address)}, ports: [80/tcp, 443/tcp] }`
const config = (...addresses: readonly string[]): string => `allow: [${addresses.map(entry).join(', ')}]`
const BEFORE = config(...Object.values(ALLOWED), ...Object.values(REVOKED))
const AFTER = config(...Object.values(ALLOWED))

const RULES: Readonly<Record<string, (family: Family) => readonly string[]>> = {
  'established connections': () => ['-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'],
  'what leaves by a VPN': (family) => [`-d ${family === 4 ? '203.0.113.0/24' : '2001:db8:f::/64'} -j ACCEPT`],
  'a chain that accepts': (family) => [
    `-d ${family === 4 ? '203.0.113.0/24' : '2001:db8:f::/64'} -j vpn-forward`,
  ],
}

let from: LabContainer

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  from = await lab().container({ network: 'shop' })
  for (const family of FAMILIES) {
    const tool = family === 4 ? 'iptables' : 'ip6tables'
    await lab().host([tool, '-N', 'vpn-forward'])
    await lab().host([tool, '-A', 'vpn-forward', '-j', 'ACCEPT'])
  }
})

const ours = async (family: Family): Promise<readonly string[]> =>
  (await rulesOf(lab(), family, 'FORWARD')).filter((line) => line.endsWith('-j EMBARGOD'))

/** Where the engine has no DOCKER-USER the only jump of ours stands in FORWARD anyway. */
const jumpsWithout = async (family: Family): Promise<number> =>
  (await rulesOf(lab(), family, 'FORWARD')).some((line) => line.endsWith('-j DOCKER-USER')) ? 0 : 1

describe.each(Object.entries(RULES))('%s', (_, rulesFor) => {
  test('above DOCKER-USER: what is allowed passes, what is not does not, and what is revoked is cut', async () => {
    await lab().embargod.writeConfig(BEFORE)
    await guard(lab(), { config: BEFORE })
    const placed = FAMILIES.flatMap((family) => rulesFor(family).map((rule) => ({ family, rule })))
    for (const { family, rule } of placed) await insertRules(lab(), family, 'FORWARD', [rule])
    try {
      const addresses = FAMILIES.map((family) => origin(ALLOWED[family]))
      await lab().waitFor(
        'what is allowed passes',
        async () => (await reached(from, addresses, { seconds: 1 })).length === addresses.length,
      )
      const live = await Promise.all(
        FAMILIES.map((family) => LiveConnection.open(from, origin(ALLOWED[family], 443))),
      )
      const cut = await Promise.all(
        FAMILIES.map((family) => LiveConnection.open(from, origin(REVOKED[family], 443))),
      )

      const flood = await steadyFlood(lab(), from)
      for (let round = 0; round < 2; round += 1) {
        const passing = await lab().network('passing')
        // What the engine does to FORWARD may cost a packet, which is sent again, and no connection.
        expect(await reached(from, addresses), 'while a network comes').toEqual(addresses)
        await passing.remove()
        expect(await reached(from, addresses), 'while a network goes').toEqual(addresses)
      }
      for (const one of live) expect(await one.flows()).toBe(true)
      await lab().embargod.writeConfig(AFTER)
      expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
      for (const one of live) expect(await one.flows(2000), 'after a change of rights').toBe(true)
      expect(await flood.stop()).toBe(0)
      for (const one of cut) expect(await one.flows(), 'revoked').toBe(false)
      expect(
        await reached(
          from,
          FAMILIES.map((family) => origin(FORBIDDEN[family])),
          { seconds: 2 },
        ),
      ).toEqual([])
      expect(await lab().cli(['status'])).toMatchObject({ code: 0 })
      expect(await lab().cli(['plan', '--config', lab().embargod.configFile])).toMatchObject({ code: 0 })
    } finally {
      for (const { family, rule } of placed)
        await lab().host([family === 4 ? 'iptables' : 'ip6tables', '-D', 'FORWARD', ...rule.split(' ')])
    }
    await lab().waitFor('our jump has left FORWARD', async () => {
      for (const family of FAMILIES)
        if ((await ours(family)).length !== (await jumpsWithout(family))) return false
      return true
    })
  }, 120_000)
})

test('established connections that are known by their packets alone: clients by the own address, and neighbours whose frames pass the rules', async () => {
  const options = closesDirectWays(lab().engineVersion)
    ? { [`${BRIDGE}.gateway_mode_ipv4`]: 'routed', [`${BRIDGE}.gateway_mode_ipv6`]: 'routed' }
    : { [`${BRIDGE}.enable_ip_masquerade`]: 'false' }
  await lab().network('plain', { ipv6: true, options })
  const cmd = ['httpd', '-f', '-p', '[::]:8090', '-h', '/etc']
  const server = await inside(lab(), { network: 'plain', cmd, publish: { 8090: 18_091 } })
  const neighbour = await inside(lab(), { network: 'plain' })
  const { ipv4, ipv6 } = await server.addresses()
  const pages = [...ipv4, ...ipv6].filter(Boolean).map((address) => `${origin(address, 8090)}/passwd`)
  expect(pages).toHaveLength(2)
  await guard(lab(), { config: '' })
  const nf = ['iptables', 'ip6tables'].map((tool) => `net.bridge.bridge-nf-call-${tool}`)
  await lab().host(['sysctl', '-qw', ...nf.map((name) => `${name}=1`)])
  const rule = '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT'
  for (const family of FAMILIES) await insertRules(lab(), family, 'FORWARD', [rule])
  try {
    const isServed = async (page: string): Promise<boolean> => {
      const argv = ['curl', '-gsS', '--max-time', '2', page] as const
      return (await lab().internet(argv, { okExitCodes: [7, 28] })).stdout.includes('root:')
    }
    for (const page of pages) await lab().waitFor(`a client gets ${page}`, () => isServed(page), 15_000)
    expect(await reached(neighbour, pages)).toEqual(pages)
    // What a container sends to a client of nobody's is no reply of theirs.
    expect(
      await reached(
        server,
        FAMILIES.map((family) => origin(FORBIDDEN[family])),
        { seconds: 2 },
      ),
    ).toEqual([])
    expect(await lab().cli(['status'])).toMatchObject({ code: 0 })
  } finally {
    await lab().host(['sysctl', '-qw', ...nf.map((name) => `${name}=0`)])
    for (const family of FAMILIES)
      await lab().host([family === 4 ? 'iptables' : 'ip6tables', '-D', 'FORWARD', ...rule.split(' ')])
  }
}, 60_000)
