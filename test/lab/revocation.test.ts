import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { closesDirectWays } from './engines.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage, LiveConnection } from './web.ts'

/** An address that ages out leaves live connections alone; a right that is taken away ends them. */
const lab = useLab({ name: 'revocation' })

const BRIDGE = 'com.docker.network.bridge'

/** Answers go after some 3 s. */
const quick = 'resolver: { refresh: { min: 1s, max: 1s }, retain: 1s }'
const policy = (...entries: string[]) =>
  [quick, 'allow:', ...entries.map((entry) => `  - ${entry}`)].join('\n')

beforeAll(async () => {
  // Nothing is masqueraded here: the far end sees the container and can answer it without the host's NAT.
  const options = closesDirectWays(lab().engineVersion)
    ? { [`${BRIDGE}.gateway_mode_ipv4`]: 'routed', [`${BRIDGE}.gateway_mode_ipv6`]: 'routed' }
    : { [`${BRIDGE}.enable_ip_masquerade`]: 'false' }
  await lab().network('plain', { ipv6: true, options })
})

interface Path {
  readonly what: string
  readonly network: string
  readonly family: 4 | 6
  readonly first: string
  readonly second: string
}

const PATHS: readonly Path[] = [
  { what: 'IPv4 with NAT', network: 'bridge', family: 4, first: '203.0.113.71', second: '203.0.113.72' },
  { what: 'IPv4 without NAT', network: 'plain', family: 4, first: '203.0.113.73', second: '203.0.113.74' },
  {
    what: 'IPv6 without NAT',
    network: 'plain',
    family: 6,
    first: '2001:db8:f::75',
    second: '2001:db8:f::76',
  },
]

const origin = (address: string) => `http://${address.includes(':') ? `[${address}]` : address}`

async function reload(config: string): Promise<void> {
  await lab().embargod.writeConfig(config)
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
}

async function answer(name: string, address: string): Promise<void> {
  const family = address.includes(':') ? { aaaa: [address] } : { a: [address] }
  await lab().inet.dns({ [name]: { ...family, ttl: 1 } })
}

const reaches = async (from: LabContainer, address: string): Promise<boolean> =>
  (await fetchPage(from, `${origin(address)}/`, { timeoutMs: 1000 })).code === 0

/** Packets that arrive from now on. */
async function arrivingAt(address: string, ms: number): Promise<number> {
  await lab().farEnd.reset()
  await sleep(ms)
  return lab().farEnd.count(address)
}

describe.each(PATHS)('$what', (path) => {
  const { first, second } = path

  test('a connection outlives its address, also over a reload of something else', async () => {
    await answer('moving.example', first)
    const from = await inside(lab(), { network: path.network })
    await guard(lab(), { config: policy('moving.example', 'api.example') })
    const live = await LiveConnection.open(from, origin(first))
    await answer('moving.example', second)
    await lab().waitFor('the new address is open', () => reaches(from, second), 15_000)
    await lab().waitFor('the old address has expired', async () => !(await reaches(from, first)), 30_000)
    expect(await live.flows()).toBe(true)

    await reload(policy('moving.example'))
    expect(await live.flows(2000)).toBe(true)
    await sleep(1000)
    expect(await live.flows(2000)).toBe(true)
    expect(await reaches(from, first)).toBe(false)

    await reload(policy('api.example'))
    await lab().waitFor('its name is gone, so it stops', async () => (await arrivingAt(first, 500)) === 0)
    expect(await arrivingAt(first, 2000)).toBe(0)
  })

  test('a removed name cuts its connection, whatever the far end does; allowed again, it opens at once', async () => {
    await answer('leaving.example', first)
    const from = await inside(lab(), { network: path.network })
    await guard(lab(), { config: policy('leaving.example', 'api.example') })
    const live = await LiveConnection.open(from, origin(first))
    expect(await arrivingAt(first, 1000)).toBeGreaterThan(2)

    await reload(policy('api.example'))
    expect(await arrivingAt(first, 3000)).toBe(0)
    // Without its entry the far end's next packet begins the connection the other way round. With NAT it ends at the host,
    // whose own answer is nothing of the container's.
    const tool = path.family === 4 ? 'iptables' : 'ip6tables'
    const ownAnswer = ['OUTPUT', '-d', first, '-p', 'tcp', '--tcp-flags', 'RST', 'RST', '-j', 'DROP']
    await lab().host([tool, '-A', ...ownAnswer])
    await lab().host(['conntrack', '-D', '-f', `ipv${path.family}`, '-p', 'tcp', '--dport', '80'], {
      okExitCodes: [1],
    })
    expect(await arrivingAt(first, 3000)).toBe(0)
    // As does one that it begins itself, from its port to the container's.
    await lab().internet(['ss', '-K', 'sport', '=', ':80'], { okExitCodes: [1, 255] })
    expect(await arrivingAt(first, 1000)).toBe(0)
    expect(await reaches(from, first)).toBe(false)
    await lab().host([tool, '-D', ...ownAnswer])

    await reload(policy('leaving.example', 'api.example'))
    expect(await reaches(from, first)).toBe(true)
    expect(await live.lines()).toBeGreaterThan(0)
  })
})

test('a connection that the old and the new policy allow goes on through twenty reloads', async () => {
  await answer('staying.example', '203.0.113.77')
  const from = await inside(lab())
  await guard(lab(), { config: policy('staying.example') })
  const live = await LiveConnection.open(from, 'http://203.0.113.77')
  for (let round = 0; round < 20; round += 1) {
    await reload(policy('staying.example', ...(round % 2 === 0 ? ['api.example'] : [])))
  }
  expect(await live.flows(2000)).toBe(true)
  await reload(policy('api.example'))
  expect(await arrivingAt('203.0.113.77', 2000)).toBe(0)
})

test('the same address under another name, or another port, keeps a connection as far as it goes', async () => {
  await lab().inet.dns({
    'one.example': { a: ['203.0.113.78'] },
    'two.example': { a: ['203.0.113.78'] },
  })
  const from = await inside(lab())
  await guard(lab(), { config: policy('one.example', '"two.example:80"') })
  const web = await LiveConnection.open(from, 'http://203.0.113.78')
  const tls = await LiveConnection.open(from, 'http://203.0.113.78:443')
  await reload(policy('"two.example:80"'))
  expect(await web.flows(2000)).toBe(true)
  await lab().farEnd.reset()
  await sleep(2000)
  expect(await lab().farEnd.count('203.0.113.78', { proto: 'tcp', port: 443 })).toBe(0)
  expect(await lab().farEnd.count('203.0.113.78', { proto: 'tcp', port: 80 })).toBeGreaterThan(2)
  expect(await tls.lines()).toBeGreaterThan(0)
  expect((await fetchPage(from, 'http://203.0.113.78/', { timeoutMs: 1000 })).code).toBe(0)
})

test('allow --for opens at once, ends by itself and cuts what it let in; --list and --revoke', async () => {
  await answer('glass.example', '203.0.113.79')
  const from = await inside(lab())
  await guard(lab(), { config: policy('api.example') })
  expect(await reaches(from, '203.0.113.79')).toBe(false)

  const opened = await lab().cli(['allow', 'glass.example:80', '--for', '8s'])
  expect(opened).toMatchObject({ code: 0 })
  await lab().waitFor('the temporary name is open', () => reaches(from, '203.0.113.79'), 5000)
  const live = await LiveConnection.open(from, 'http://203.0.113.79')
  expect((await lab().cli(['allow', '--list'])).stdout).toContain('glass.example:80')
  expect((await lab().cli(['status'])).stdout).toContain('glass.example:80')
  await lab().waitFor('it has ended', async () => !(await reaches(from, '203.0.113.79')), 15_000)
  expect(await arrivingAt('203.0.113.79', 1500)).toBe(0)
  expect((await lab().cli(['allow', '--list'])).stdout).not.toContain('glass.example')
  expect(await live.lines()).toBeGreaterThan(0)

  expect(await lab().cli(['allow', '203.0.113.80:80', '--for', '10m'])).toMatchObject({ code: 0 })
  const again = await LiveConnection.open(from, 'http://203.0.113.80')
  expect(await lab().cli(['allow', '--revoke', '203.0.113.80:80'])).toMatchObject({ code: 0 })
  expect(await arrivingAt('203.0.113.80', 1500)).toBe(0)
  expect(await again.lines()).toBeGreaterThan(0)
  expect(await lab().cli(['allow', '--revoke', '203.0.113.80:80'])).toMatchObject({ code: 2 })
  expect(await lab().cli(['allow', 'a..b', '--for', '10m'])).toMatchObject({ code: 2 })
})

test('an entry whose until passes ends without anybody, and a temporary one outlives a restart', async () => {
  const until = new Date(Date.now() + 12_000).toISOString()
  const from = await inside(lab())
  const config = policy('api.example', `{ cidr: 203.0.113.81, ports: [80/tcp], until: "${until}" }`)
  let daemon = await guard(lab(), { config })
  const live = await LiveConnection.open(from, 'http://203.0.113.81')
  expect(await lab().cli(['allow', '203.0.113.82:80', '--for', '10m'])).toMatchObject({ code: 0 })
  await daemon.kill()
  daemon = await guard(lab(), { config })
  expect(await reaches(from, '203.0.113.82')).toBe(true)
  await lab().waitFor('until has passed', () => Date.now() > Date.parse(until), 15_000)
  await lab().waitFor('its entry is shut', async () => !(await reaches(from, '203.0.113.81')), 5000)
  expect(await arrivingAt('203.0.113.81', 1500)).toBe(0)
  expect(await live.lines()).toBeGreaterThan(0)
})
