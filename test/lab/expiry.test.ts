import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { flood } from './packets.ts'
import { origin, reached } from './reach.ts'
import { guard } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { LiveConnection } from './web.ts'

/** A right that ends by itself ends in the kernel, though nobody is left who could take it away. */
const lab = useLab({ name: 'expiry' })

const [LASTS, WHILE, UNTIL, LISTED, BOTH] = [81, 82, 83, 84, 85].map((last) => `203.0.113.${last}`) as [
  string,
  string,
  string,
  string,
  string,
]
const WILD = '203.0.113.86'
const ANYWHERE = '203.0.113.87'
const OWN = '203.0.113.88'

/** What is said to end in the second is over within these, a packet on its way and the look at the far end included. */
const SLACK_MS = 2_500

let common: LabContainer
let shop: LabContainer
let cloud: LabContainer
beforeAll(async () => {
  await lab().network('shop')
  common = await lab().container({ network: 'bridge' })
  shop = await lab().container({ network: 'shop' })
  await lab().network('cloud')
  cloud = await lab().container({ network: 'cloud' })
})
beforeEach(async () => {
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
  await lab().farEnd.reset()
})

const isoOf = (ms: number): string => new Date(ms).toISOString()

const waitUntil = (ms: number): Promise<unknown> => sleep(Math.max(0, ms - Date.now()))

/** Everything that arrives for an address from a moment on. */
async function arrivingAfter(ms: number, address: string): Promise<number> {
  await waitUntil(ms)
  await lab().farEnd.reset()
  await sleep(1_000)
  return lab().farEnd.count(address)
}

test('`allow --for` ends with 1,000 packets a second on their way and the daemon killed', async () => {
  const daemon = await guard(lab(), { config: `allow: [{ cidr: ${LASTS}, ports: [9999/udp] }]` })
  const endMs = Date.now() + 6_000
  const entry = `{ cidr: ${WHILE}, ports: [9999/udp] }`
  expect(await lab().cli(['allow', entry, '--for', '6s'])).toMatchObject({ code: 0 })
  const stream = flood(common, { dst: WHILE, proto: 'udp', rate: 1_000, seconds: 11 })
  await daemon.kill()
  await sleep(1_000)
  expect(await lab().farEnd.count(WHILE)).toBeGreaterThan(500)
  expect(await arrivingAfter(endMs + SLACK_MS, WHILE)).toBe(0)
  await stream
})

test('names, networks, lists, wildcards, policies and the internet end, and what lasts beside them stays', async () => {
  await lab().inet.dns({
    'until.example': { a: [UNTIL], ttl: 60 },
    'both.example': { a: [BOTH], ttl: 60 },
    'a.wild.example': { a: [WILD], ttl: 60 },
  })
  await writeFile(join(lab().embargod.stateDirectory, '..', 'ending.txt'), `${LISTED}\n`, { mode: 0o600 })
  const endMs = Math.ceil(Date.now() / 1000) * 1000 + 14_000
  const until = `until: '${isoOf(endMs)}'`
  const config = `
dns: { gateway: true }
allow:
  - { cidr: ${LASTS}, ports: [80/tcp] }
  - { cidr: 203.0.113.80/29, ports: [443/tcp], ${until} }
  - { domain: until.example, ports: [80/tcp], ${until} }
  - { file: ending.txt, ports: [80/tcp], ${until} }
  - { domain: both.example, ports: [80/tcp], ${until} }
  - { cidr: ${BOTH}, ports: [80/tcp] }
  - { domain: '*.wild.example', ports: [80/tcp], ${until} }
  - { to: internet, ports: [5432/tcp], ${until} }
policies:
  shop: { match: { network: shop }, allow: [{ cidr: ${OWN}, ports: [80/tcp], ${until} }] }
`
  const daemon = await guard(lab(), { config })
  expect((await shop.exec(['curl', '-s', '--max-time', '4', 'http://a.wild.example/'])).code).toBe(0)
  const lasting = [origin(LASTS), origin(BOTH)]
  const ending = [
    origin(LASTS, 443),
    origin(UNTIL),
    origin(LISTED),
    origin(WILD),
    origin(OWN),
    origin(ANYWHERE, 5432),
  ]
  expect(await reached(shop, [...lasting, ...ending], { seconds: 1 })).toEqual([...lasting, ...ending])
  const live = await LiveConnection.open(shop, origin(UNTIL))
  const kept = await LiveConnection.open(shop, origin(LASTS))
  await daemon.kill()
  expect(Date.now()).toBeLessThan(endMs)
  await waitUntil(endMs + SLACK_MS)
  expect(await reached(shop, [...lasting, ...ending], { seconds: 1 })).toEqual(lasting)
  expect(await live.flows(1_500)).toBe(false)
  expect(await kept.flows()).toBe(true)

  // After a boot nothing of it comes back, neither from what was enforced last nor from the saved addresses.
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  const next = await guard(lab(), { config })
  expect(await reached(shop, [...lasting, ...ending], { seconds: 1 })).toEqual(lasting)
  await next.term()
})

test('an end that is moved is another one at once; what was on trial and is confirmed outlasts the trial', async () => {
  const config = (endMs: number, ...more: string[]): string =>
    ['allow:', `  - { cidr: ${UNTIL}, ports: [80/tcp], until: '${isoOf(endMs)}' }`, ...more].join('\n')
  const hour = Date.now() + 3_600_000
  const daemon = await guard(lab(), { config: config(hour) })
  const endMs = Date.now() + 8_000
  await lab().embargod.writeConfig(config(endMs, `  - { cidr: ${LASTS}, ports: [80/tcp] }`))
  expect(await lab().cli(['reload', '--confirm', '5s'])).toMatchObject({ code: 0 })
  expect(await lab().cli(['confirm'])).toMatchObject({ code: 0 })
  await daemon.kill()
  const both = [origin(UNTIL), origin(LASTS)]
  expect(await reached(common, both, { seconds: 1 })).toEqual(both)
  await waitUntil(endMs + SLACK_MS)
  expect(await reached(common, both, { seconds: 1 })).toEqual([origin(LASTS)])
})

test('what only a config on trial allows ends with it, though the daemon is killed; what both allow stays', async () => {
  const before = `allow: [{ cidr: ${LASTS}, ports: [80/tcp, 443/tcp] }]`
  const tried = `guard: { except: [shop] }
allow:
  - { cidr: ${LASTS}, ports: [80/tcp] }
  - { cidr: ${UNTIL}, ports: [80/tcp] }
  - { to: internet, ports: [5432/tcp] }
policies:
  role: { match: { network: cloud }, metadata: allow }`
  const daemon = await guard(lab(), { config: before })
  await lab().embargod.writeConfig(tried)
  const endMs = Date.now() + 8_000
  expect(await lab().cli(['reload', '--confirm', '8s'])).toMatchObject({ code: 0 })
  const all = [origin(LASTS), origin(UNTIL), origin(ANYWHERE, 5432)]
  const metadata = origin(INET.metadata)
  const tryAll = () =>
    Promise.all([
      reached(common, all, { seconds: 1 }),
      reached(shop, [origin(ANYWHERE), origin(LASTS)], { seconds: 1 }),
      reached(cloud, [metadata, origin(LASTS)], { seconds: 1 }),
    ])
  expect(await tryAll()).toEqual([all, [origin(ANYWHERE), origin(LASTS)], [metadata, origin(LASTS)]])
  const live = await LiveConnection.open(common, origin(UNTIL))
  await daemon.kill()
  await waitUntil(endMs + SLACK_MS)
  // Rules that the trial made wider are as they were before it, too.
  expect(await tryAll()).toEqual([[origin(LASTS)], [origin(LASTS)], [origin(LASTS)]])
  expect(await live.flows(1_500)).toBe(false)
})
