import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { origin, reached } from './reach.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { HOST } from './topology.ts'

/** What containers reach on the host itself. Its name server is the host, too: an own one on the default bridge's address. */
const RESOLVER = '172.17.0.1'
const lab = useLab({ name: 'host-services', dns: 'host', dockerdFlags: [`--dns=${RESOLVER}`] })

const DOCKER_API = 2375
const SSH = 22
const NODE_EXPORTER = 9100
const PUBLISHED = 18_090
const LISTENING = [DOCKER_API, SSH, NODE_EXPORTER]
const METADATA = `${origin('169.254.170.5', SSH)}/passwd`

const NETWORKS = ['bridge', 'shop', 'tailored'] as const
const containers = new Map<string, LabContainer>()
const from = (name: string): LabContainer => {
  const container = containers.get(name)
  if (!container) throw new Error(`no container ${name}`)
  return container
}
/** Addresses of the host, by family: of its uplink and of the bridge in front of the container. */
const hostAddresses = new Map<string, readonly string[]>()
const pages = (network: string, port: number): readonly string[] =>
  (hostAddresses.get(network) ?? []).map((address) => `${origin(address, port)}/passwd`)

async function gatewaysOf(network: string): Promise<readonly string[]> {
  const { IPAM } = await lab().docker.getNetwork(network).inspect()
  const own = await from(network).exec(['sh', '-c', 'ip route; ip -6 route'])
  const said = [...own.stdout.matchAll(/^default via (\S+)/gm)].map(([, address = '']) => address)
  const pools = IPAM?.Config ?? []
  const all = [...said, ...pools.map(({ Gateway }) => Gateway?.replace(/\/\d+$/, '') ?? '')]
  return [...new Set(all.filter((address) => address !== '' && !address.startsWith('fe80')))]
}

/** The ports of the host that answer on all of its addresses; one that answers on some is a surprise. */
async function answering(
  network: string,
  name = network,
  ports: readonly number[] = [...LISTENING, PUBLISHED],
): Promise<readonly (number | string)[]> {
  const all = ports.flatMap((port) => pages(network, port))
  const answered = new Set(await reached(from(name), all, { seconds: 3 }))
  return ports.flatMap((port): (number | string)[] => {
    const mine = pages(network, port)
    const yes = mine.filter((page) => answered.has(page))
    if (yes.length === 0) return []
    return yes.length === mine.length ? [port] : [`${port} on ${yes.join(' ')} alone`]
  })
}

const pings = async (network: string, name = network): Promise<readonly number[]> =>
  Promise.all(
    (hostAddresses.get(network) ?? []).map(
      async (address) => (await from(name).exec(['ping', '-c', '1', '-W', '2', address])).code,
    ),
  )

const resolves = async (name: string): Promise<boolean> =>
  (
    await from(name).exec(['curl', '-4', '-sS', '--max-time', '6', 'http://allowed.example/'])
  ).stdout.includes('hello from 203.0.113.10')

const serve = (name: string, network: string, publish?: Record<number, number>) =>
  lab().container({
    name,
    network,
    cmd: ['httpd', '-f', '-p', '[::]:8090', '-h', '/etc'],
    ...(publish ? { publish } : {}),
  })

/** As an operator's health check: at the container itself, and by the engine's proxy. */
async function hostReachesContainers(): Promise<void> {
  const { ipv4, ipv6 } = await from('web').addresses()
  const urls = [...ipv4, ...ipv6].map((address) => `${origin(address, 8090)}/passwd`)
  for (const url of [
    ...urls,
    `${origin('127.0.0.1', PUBLISHED)}/passwd`,
    `${origin('::1', PUBLISHED)}/passwd`,
  ])
    expect((await lab().host(['curl', '-gsS', '--max-time', '5', url])).stdout).toContain('root:x:0:0')
  const world = `${origin(HOST.address, PUBLISHED)}/passwd`
  expect((await lab().internet(['curl', '-gsS', '--max-time', '5', world])).stdout).toContain('root:x:0:0')
}

const ALLOW = 'allow: [allowed.example]'
let daemon: Daemon
const guardedBy = async (config: string): Promise<void> => {
  await daemon?.term()
  daemon = await lab().daemon({ config })
}

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  await lab().host(['ip', 'address', 'add', '169.254.170.5/32', 'dev', 'lo'])
  const services = LISTENING.map((port) =>
    lab().service('host', ['busybox', 'httpd', '-f', '-p', `[::]:${port}`, '-h', '/etc']),
  )
  const dns = `--no-daemon --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts --server=198.51.100.1 --listen-address=${RESOLVER} --bind-interfaces`
  services.push(lab().service('host', ['dnsmasq', ...dns.split(' ')]))
  afterAll(async () => {
    for (const service of services) await service.stop()
  })
  for (const network of NETWORKS) containers.set(network, await lab().container({ network, name: network }))
  containers.set('web', await serve('web', 'shop', { 8090: PUBLISHED }))
  for (const network of NETWORKS)
    hostAddresses.set(network, [HOST.address, HOST.address6, ...(await gatewaysOf(network))])
})

test.each(NETWORKS)('without the guard %s reaches all of it', async (network) => {
  expect(hostAddresses.get(network)?.length).toBeGreaterThanOrEqual(4)
  expect(await answering(network)).toEqual([...LISTENING, PUBLISHED])
  expect(await reached(from(network), [METADATA])).toEqual([METADATA])
  expect(new Set(await pings(network))).toEqual(new Set([0]))
  expect(await resolves(network)).toBe(true)
})

describe('as the default is', () => {
  beforeAll(() => guardedBy(ALLOW))

  test.each(NETWORKS)('%s reaches published ports, a ping and its name server', async (network) => {
    expect(await answering(network)).toEqual([PUBLISHED])
    expect(await reached(from(network), [METADATA])).toEqual([])
    expect(new Set(await pings(network))).toEqual(new Set([0]))
    expect(await resolves(network)).toBe(true)
  })

  test('the host reaches containers', hostReachesContainers)

  test('what is denied is counted, and explained', async () => {
    const denied = async () =>
      (await scrape(lab())).value('denied_packets_total', { network: 'shop', reason: 'policy' }) ?? 0
    const before = await denied()
    await answering('shop', 'shop', [SSH])
    await lab().waitFor('it is counted', async () => (await denied()) > before, 30_000)
    const explain = async (to: string) => {
      const { code, stdout } = await lab().cli(['explain', 'shop', to])
      return `${code} ${stdout}`
    }
    expect(await explain(`${HOST.address}:22`)).toMatch(/^6 .*not in guard\.hostServices/s)
    expect(await explain(`[${HOST.address6}]:22`)).toMatch(/^6 .*not in guard\.hostServices/s)
    expect(await explain(`${HOST.address}:${PUBLISHED}`)).toMatch(
      /^0 .*because .*published port.*own firewall/s,
    )
    expect(await explain(`${HOST.address}/icmp`)).toMatch(/^0 .*because .*ping of the host/s)
    expect(await explain(`${RESOLVER}:53/udp`)).toMatch(/^0 .*DNS/s)
  })

  test('a port is open for as long as its container runs', async () => {
    const late = await serve('late', 'tailored', { 8090: 18_091 })
    await lab().waitFor('it is open', async () => (await answering('shop', 'shop', [18_091])).length === 1)
    await late.stop()
    const squatter = lab().service('host', ['busybox', 'httpd', '-f', '-p', '[::]:18091', '-h', '/etc'])
    await lab().waitFor(
      'it is closed',
      async () => (await answering('shop', 'shop', [18_091])).length === 0,
      20_000,
    )
    await squatter.stop()
    expect(await lab().cli(['plan', '--config', lab().embargod.configFile])).toMatchObject({ code: 0 })
  })
})

describe('with a list', () => {
  const CONFIG = `guard: { hostServices: [${NODE_EXPORTER}/tcp] }\n${ALLOW}`
  beforeAll(() => guardedBy(CONFIG))

  test.each(NETWORKS)('%s reaches what is on it', async (network) => {
    expect(await answering(network)).toEqual([NODE_EXPORTER])
    expect((await pings(network)).every((code) => code !== 0)).toBe(true)
    expect(await resolves(network)).toBe(true)
  })

  test('the host reaches containers', hostReachesContainers)

  test.each([HOST.address, HOST.address6])('what a reload closes is closed at once: %s', async (address) => {
    await daemon.hup(CONFIG)
    const target = address.includes(':') ? `[${address}]` : address
    await lab().waitFor(
      'it is open',
      async () => (await answering('shop', 'shop', [NODE_EXPORTER])).length > 0,
    )
    // A request whose second half comes when its port is closed already.
    const half = `(printf 'GET /passwd HTTP/1.0\\r\\n'; sleep 6; printf '\\r\\n'; sleep 3) | nc ${target.replace(/[[\]]/g, '')} ${NODE_EXPORTER}`
    const asked = from('shop').exec(['sh', '-c', half], { timeoutMs: 12_000 })
    const before = from('shop').exec(['sh', '-c', half.replace('sleep 6', 'sleep 0')], { timeoutMs: 12_000 })
    expect((await before).stdout).toContain('root:x:0:0')
    await daemon.hup(ALLOW)
    await lab().waitFor(
      'it is closed',
      async () => (await answering('shop', 'shop', [NODE_EXPORTER])).length === 0,
    )
    expect((await asked).stdout).not.toContain('root:x:0:0')
  })
})

test.each(NETWORKS)('all leaves everything but metadata to the host: %s', async (network) => {
  if (network === NETWORKS[0]) await guardedBy(`guard: { hostServices: all }\n${ALLOW}`)
  expect(await answering(network)).toEqual([...LISTENING, PUBLISHED])
  expect(await reached(from(network), [METADATA])).toEqual([])
})

describe('where some have policies of their own', () => {
  const CONFIG = `
allow: [allowed.example]
guard: { hostServices: [icmp, published, ${NODE_EXPORTER}/tcp] }
policies:
  shop: { match: { container: more }, allow: [edge.cdn.example] }
  pay: { match: { container: pay }, allow: [api.example], inherit: false }
`
  beforeAll(async () => {
    for (const name of ['more', 'pay']) containers.set(name, await lab().container({ network: 'shop', name }))
    await guardedBy(CONFIG)
  })

  test.each(['shop', 'more'])('%s has published ports', async (name) => {
    expect(await answering('shop', name)).toEqual([NODE_EXPORTER, PUBLISHED])
  })

  test('who inherits nothing has none', async () => {
    expect(await answering('shop', 'pay')).toEqual([NODE_EXPORTER])
    expect(new Set(await pings('shop', 'pay'))).toEqual(new Set([0]))
    expect((await lab().cli(['explain', 'pay', `${HOST.address}:${PUBLISHED}`])).stdout).toContain(
      'no published port for pay',
    )
  })

  test('nor has who is unknown', async () => {
    const [own = ''] = (await from('shop').addresses()).ipv4
    const bridge = (await lab().host(['sh', '-c', `ip -o route get ${own}`])).stdout.split(' ')[2] ?? ''
    const ghost = (argv: string) => lab().host(['nsenter', '--net=/run/netns/ghost', ...argv.split(' ')])
    await lab().host(['ip', 'netns', 'add', 'ghost'])
    await lab().host(['ip', '-batch', '-'], {
      input: `link add ghost0 type veth peer name eth0 netns ghost\nlink set ghost0 master ${bridge} up\n`,
    })
    await ghost(`ip address add ${own.replace(/\d+$/, '77')}/16 dev eth0`)
    await ghost('ip link set eth0 up')
    await ghost(`ip route add default via ${own.replace(/\d+$/, '1')}`)
    const codes = async (port: number) =>
      (
        await lab().host(
          [
            'nsenter',
            '--net=/run/netns/ghost',
            'curl',
            ...'-sS -o /dev/null --max-time 4'.split(' '),
            `${origin(HOST.address, port)}/passwd`,
          ],
          { okExitCodes: [7, 28] },
        )
      ).exitCode
    expect(await codes(NODE_EXPORTER)).toBe(0)
    expect(await codes(PUBLISHED)).not.toBe(0)
    await lab().host(['ip', 'netns', 'delete', 'ghost'])
  })
})
