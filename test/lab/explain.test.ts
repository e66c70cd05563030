import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import {
  arrivedTags,
  hostOf,
  internetOf,
  networkOf,
  sendTagged,
  watchArrivals,
  type Place,
  type TaggedPacket,
} from './arrivals.ts'
import type { LabContainer } from './container.ts'
import { randomPairs, seededRandom, type Pair } from './explain-pairs.ts'
import { addInternetAddresses } from './reach.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { HOST, INET } from './topology.ts'

/** What `explain` says of a packet is what then becomes of it. */
const lab = useLab({ name: 'explain' })

const PAIRS = 500
const SEED = Number(process.env['EMBARGOD_LAB_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

const CONFIG = `
allow:
  - allowed.example
  - { domain: edge.cdn.example, ports: [443/tcp, 8080/tcp] }
  - { domain: mail.example, ports: [25/tcp] }
  - { domain: private.example, ports: [80/tcp, 443/tcp], private: true }
  - { domain: lying.example, ports: [80/tcp] }
  - { cidr: 203.0.113.128/26, ports: [8000-8100/tcp, icmp] }
  - { cidr: '2001:db8:f::8000/113', ports: [any, icmp] }
  # Wide enough for the neighbours: what then keeps them apart is the engine.
  - { cidr: 172.16.0.0/12, ports: [8080/tcp, icmp] }
  - { cidr: 'fd00:d0c::/32', ports: [8080/tcp] }
  - { to: internet, ports: [123/udp] }
never: [203.0.113.160/28, '2001:db8:f::8100/120']
smtp: { rate: 100/minute, burst: 100 }
`

/** Where each source's packets set out: sources that are networks or share a network use somebody's who is there. */
const places = new Map<string, Place>()
const destinations: string[] = []

beforeAll(async () => {
  await lab().inet.dns({ 'private.example': { a: ['10.77.0.1'], aaaa: ['fd00:77::1'] } })
  await addInternetAddresses(lab(), ['10.77.0.1', '10.77.0.2', 'fd00:77::1', 'fd00:77::2'])
  await lab().network('shop', { ipv6: true })
  await lab().network('plain')
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  await lab().network('inner', { ipv6: true, internal: true })

  const containers = new Map<string, LabContainer>()
  for (const network of ['bridge', 'shop', 'plain', 'tailored', 'inner', 'host']) {
    for (const name of [`on-${network}`, `also-on-${network}`])
      containers.set(name, await lab().container({ network, name }))
  }
  containers.set('on-two', await lab().container({ network: 'tailored', name: 'on-two' }))
  await containers.get('on-two')?.connectTo('shop')
  containers.set('half-inner', await lab().container({ network: 'inner', name: 'half-inner' }))
  await containers.get('half-inner')?.connectTo('plain')
  containers.set('sharing', await lab().container({ network: 'container:on-shop', name: 'sharing' }))

  for (const [name, container] of containers) {
    const place = networkOf(lab(), await container.pid())
    places.set(name, place)
    const { ipv4, ipv6 } = await container.addresses()
    destinations.push(...ipv4, ...ipv6)
    if (ipv4.length > 0) await watchArrivals(place, 'prerouting')
  }
  for (const network of ['bridge', 'shop', 'plain', 'tailored', 'inner']) {
    const place = places.get(`on-${network}`)
    if (place) places.set(network, place)
  }
  await watchArrivals(internetOf(lab()), 'prerouting')
  await watchArrivals(hostOf(lab()), 'input')
  const { stdout } = await lab().host(['ip', '-o', 'address', 'show', 'scope', 'global'])
  destinations.push(...[...stdout.matchAll(/inet6? ([^/ ]+)\//g)].map(([, address = '']) => address))
})

const FIXED = `
  allowed.example edge.cdn.example mail.example private.example lying.example forbidden.example api.example
  203.0.113.10 203.0.113.130 203.0.113.161 203.0.113.66 203.0.113.20
  2001:db8:f::10 2001:db8:f::8001 2001:db8:f::8101 2001:db8:f::66
  10.77.0.1 10.77.0.2 fd00:77::1 fd00:77::2 169.254.170.2 168.63.129.16 fd20:ce::254
  ${INET.metadata} ${INET.metadata6} ${INET.dns} ${INET.dns6} ${INET.otherDns} ${INET.otherDns6}
  ${HOST.address} ${HOST.address6}`
  .trim()
  .split(/\s+/)

const Explanations = z.array(
  z.object({
    code: z.number(),
    allowed: z.boolean(),
    because: z.string(),
    protocol: z.enum(['tcp', 'udp', 'icmp']),
    port: z.number().optional(),
    destination: z.string(),
    addresses: z.array(z.object({ address: z.string(), allowed: z.boolean(), because: z.string() })),
  }),
)
type Explanation = z.output<typeof Explanations>[number]

async function explain(pairs: readonly Pair[]): Promise<readonly Explanation[]> {
  const main = fileURLToPath(new URL('explain-main.ts', import.meta.url))
  const { EMBARGOD_RUNTIME_DIR: runtime = '' } = lab().embargod.env
  const { stdout } = await lab().host(
    [
      'env',
      '-C',
      dirname(main),
      `EMBARGOD_RUNTIME_DIR=${runtime}`,
      process.execPath,
      '--import',
      'tsx',
      main,
    ],
    { input: JSON.stringify({ config: lab().embargod.configFile, pairs }), timeoutMs: 80_000 },
  )
  return Explanations.parse(JSON.parse(stdout))
}

test(`for ${PAIRS} random pairs (seed ${SEED}) what is explained is what happens`, async () => {
  await lab().daemon({ config: CONFIG })
  await lab().waitFor(
    'all names are resolved',
    async () => ((await scrape(lab())).value('addresses', { policy: 'common' }) ?? 0) >= 13,
  )
  const pairs = randomPairs(PAIRS, [...places.keys()], [...FIXED, ...destinations], seededRandom(SEED))
  const explanations = await explain(pairs)

  // One packet to each address that a name has; where `explain` lists none, there is only the one it was given.
  const claims: { pair: Pair; packet: TaggedPacket; allowed: boolean; because: string }[] = []
  pairs.forEach((pair, index) => {
    const { addresses, allowed, because, code, destination, port, protocol } = explanations[index] ?? never()
    expect(code, JSON.stringify(pair)).toBe(allowed ? 0 : 6)
    const judged = addresses.length > 0 ? addresses : [{ address: destination, allowed, because }]
    for (const { address, ...verdict } of judged) {
      if (!/^[\d.]+$|:/.test(address)) continue
      claims.push({ pair, ...verdict, packet: { tag: 20_000 + claims.length, address, protocol, port } })
    }
  })
  for (const [source, place] of places) {
    const own = claims.filter(({ pair }) => pair.source === source).map(({ packet }) => packet)
    if (own.length > 0) await sendTagged(place, own)
  }

  const arrived = new Set<number>()
  for (const place of [internetOf(lab()), hostOf(lab()), ...places.values()])
    for (const tag of await arrivedTags(place).catch(() => [])) arrived.add(tag)
  const lies = claims.filter(({ allowed, packet }) => allowed !== arrived.has(packet.tag))
  const told = lies.map(
    ({ pair, packet, allowed, because }) =>
      `${pair.source} to ${pair.destination} (${packet.address}): said ${allowed ? 'allowed' : 'denied'} because ${because}`,
  )
  expect(told.toSorted()).toEqual([])
  // Both verdicts were common enough to mean something.
  expect(claims.filter(({ allowed }) => allowed).length).toBeGreaterThan(PAIRS / 10)
  expect(claims.filter(({ allowed }) => !allowed).length).toBeGreaterThan(PAIRS / 10)
})

function never(): never {
  throw new Error('a pair without an explanation')
}
