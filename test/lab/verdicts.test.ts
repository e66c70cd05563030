import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { addInternetAddresses, origin, reached } from './reach.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** What a policy lets pass and what it does not, from every kind of bridge and in both families. */
const lab = useLab({ name: 'verdicts' })

const NAMES = {
  // Two names on one address.
  'one.example': { a: ['203.0.113.90'], aaaa: ['2001:db8:f::90'] },
  'two.example': { a: ['203.0.113.90'], aaaa: ['2001:db8:f::90'] },
  'private.example': { a: ['10.77.0.1'], aaaa: ['fd00:77::1'] },
  'unasked-private.example': { a: ['10.77.0.2'], aaaa: ['fd00:77::2'] },
  'never.example': { a: ['203.0.113.200'], aaaa: ['2001:db8:f::200'] },
}

const CONFIG = `
allow:
  - allowed.example
  - { domain: one.example, ports: [443/tcp] }
  - { domain: two.example, ports: [8080/tcp] }
  - { cidr: 203.0.113.128/26, ports: [8000-8100/tcp, icmp] }
  - { cidr: '2001:db8:f::8000/113', ports: [8000-8100/tcp, icmp] }
  - { domain: private.example, ports: [80/tcp], private: true }
  - { domain: unasked-private.example, ports: [80/tcp] }
  - { domain: lying.example, ports: [80/tcp] }
  - never.example
never: [203.0.113.192/26, '2001:db8:f::200/128']
`

const [PASSES, DENIED] = [true, false]
type Case = readonly [what: string, v4: string, v6: string, port: number, verdict: boolean]
const CASES: readonly Case[] = [
  ['an allowed name', '203.0.113.10', '2001:db8:f::10', 80, PASSES],
  ['an allowed name over TLS', '203.0.113.10', '2001:db8:f::10', 443, PASSES],
  ['another port of it', '203.0.113.10', '2001:db8:f::10', 8080, DENIED],
  ['mail to it', '203.0.113.10', '2001:db8:f::10', 25, DENIED],
  ['a shared address, port of the first name', '203.0.113.90', '2001:db8:f::90', 443, PASSES],
  ['a shared address, port of the second name', '203.0.113.90', '2001:db8:f::90', 8080, PASSES],
  ['a shared address, port of neither', '203.0.113.90', '2001:db8:f::90', 80, DENIED],
  ['within an allowed network', '203.0.113.130', '2001:db8:f::8001', 8080, PASSES],
  ['its last address', '203.0.113.191', '2001:db8:f::ffff', 8080, PASSES],
  ['another port of it', '203.0.113.131', '2001:db8:f::8002', 80, DENIED],
  ['beside an allowed network', '203.0.113.127', '2001:db8:f::7fff', 8080, DENIED],
  ['a private address of a name with `private`', '10.77.0.1', 'fd00:77::1', 80, PASSES],
  ['another port of it', '10.77.0.1', 'fd00:77::1', 443, DENIED],
  ['a private address of a name without `private`', '10.77.0.2', 'fd00:77::2', 80, DENIED],
  ['metadata, of which an allowed name tells', '169.254.169.254', 'fd00:ec2::254', 80, DENIED],
  ['an allowed name on an address in `never`', '203.0.113.200', '2001:db8:f::200', 80, DENIED],
  ['anything else', '203.0.113.66', '2001:db8:f::66', 443, DENIED],
]

const NETWORKS = ['bridge', 'shop', 'tailored'] as const
const containers = new Map<string, LabContainer>()
const from = (network: string): LabContainer => {
  const container = containers.get(network)
  if (!container) throw new Error(`no container in ${network}`)
  return container
}

beforeAll(async () => {
  await lab().inet.dns(NAMES)
  await addInternetAddresses(lab(), ['10.77.0.1', '10.77.0.2', 'fd00:77::1', 'fd00:77::2'])
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  for (const network of NETWORKS) containers.set(network, await lab().container({ network }))
  // Its connections are revoked later: another one's must be judged by the policy alone.
  containers.set('before', await lab().container({ network: 'shop' }))
})

describe.each([4, 6] as const)('IPv%i', (family) => {
  const originOf = ([, v4, v6, port]: Case): string => origin(family === 4 ? v4 : v6, port)
  const pages = CASES.filter(([, , , port]) => port !== 25)

  test('without the guard all of it is reached', async () => {
    expect(await reached(from('before'), pages.map(originOf), { seconds: 10 })).toEqual(pages.map(originOf))
  })
})

describe('under the guard', () => {
  beforeAll(async () => {
    await lab().daemon({ config: CONFIG })
    // Ready means that the policy is in the kernel; answers may still be under way.
    for (const [family, allowed] of [
      [4, '203.0.113.90'],
      [6, '2001:db8:f::90'],
    ] as const)
      await lab().waitFor(
        `IPv${family} answers are in force`,
        async () => (await reached(from('shop'), [origin(allowed, 8080)], { seconds: 2 })).length === 1,
        20_000,
      )
    await lab().waitFor('the last name was asked for', async () =>
      (await lab().cli(['status'])).stdout.includes('203.0.113.200'),
    )
  })

  describe.each(NETWORKS)('from network %s', (network) => {
    test.each([4, 6] as const)('IPv%i: what is allowed is reached and nothing else', async (family) => {
      await lab().farEnd.reset()
      const originOf = ([, v4, v6, port]: Case): string => origin(family === 4 ? v4 : v6, port)
      const passing = CASES.filter(([, , , , verdict]) => verdict)
      expect(await reached(from(network), CASES.map(originOf))).toEqual(passing.map(originOf))
      // Not one packet of the rest went out.
      for (const [what, v4, v6, port, verdict] of CASES) {
        const packets = await lab().farEnd.count(family === 4 ? v4 : v6, { proto: 'tcp', port })
        expect(packets > 0, `${what}: ${packets} packets`).toBe(verdict)
      }
    })

    test('by name, as a program asks', async () => {
      for (const family of [4, 6] as const) {
        expect(await fetchPage(from(network), 'http://allowed.example/', { family })).toMatchObject({
          code: 0,
        })
        expect(
          await fetchPage(from(network), 'http://one.example/', { family, timeoutMs: 2000 }),
        ).toMatchObject({ code: 28 })
      }
    })

    test('ICMP passes where it is allowed', async () => {
      const ping = async (address: string) =>
        (await from(network).exec(['ping', '-c', '1', '-W', '2', address])).code
      expect(await ping('203.0.113.130')).toBe(0)
      expect(await ping('2001:db8:f::8001')).toBe(0)
      expect(await ping('203.0.113.10')).not.toBe(0)
      expect(await ping('2001:db8:f::10')).not.toBe(0)
    })

    test('a denial is counted for the network', async () => {
      const counted = async () =>
        (await scrape(lab())).value('denied_packets_total', { network, reason: 'policy' }) ?? 0
      const before = await counted()
      await reached(from(network), [origin('203.0.113.66')], { seconds: 1 })
      await lab().waitFor(
        `a denied packet of ${network} is counted`,
        async () => (await counted()) > before,
        30_000,
      )
    })
  })

  test('an answer that points at metadata is refused, counted and told', async () => {
    expect((await scrape(lab())).value('resolve_total', { outcome: 'refused_range' })).toBeGreaterThan(0)
    const { stdout } = await lab().cli(['status', '--json'])
    const status: { names: { name: string; addresses: unknown[]; refused: string[] }[] } = JSON.parse(stdout)
    const lying = status.names.find(({ name }) => name === 'lying.example')
    expect(lying).toMatchObject({ addresses: [] })
    expect(lying?.refused.toSorted()).toEqual(['169.254.169.254', 'fd00:ec2::254'])
    const unasked = status.names.find(({ name }) => name === 'unasked-private.example')
    expect(unasked?.refused.toSorted()).toEqual(['10.77.0.2', 'fd00:77::2'])
  })
})
