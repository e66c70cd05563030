import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { closesDirectWays } from './engines.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'
import { HOST } from './topology.ts'

/** What does not go to the internet: other networks, the same bridge, published ports, the host itself. */
const lab = useLab({ name: 'paths' })

const PORT = 8090
const serve = (name: string, network: string, more: { publish?: Record<number, number> } = {}) =>
  lab().container({ name, network, cmd: ['httpd', '-f', '-p', `[::]:${PORT}`, '-h', '/etc'], ...more })
/** A page that the server surely has. */
const page = (address: string, port = PORT): string => `${origin(address, port)}/passwd`

async function addressesOf(container: LabContainer): Promise<readonly [v4: string, v6: string]> {
  const { ipv4, ipv6 } = await container.addresses()
  if (ipv4[0] === undefined || ipv6[0] === undefined) throw new Error(`${container.name} lacks an address`)
  return [ipv4[0], ipv6[0]]
}

let daemon: Daemon
let shop: LabContainer
let tailored: LabContainer
/** Beside `shop`, and in another network. */
let neighbour: readonly [string, string]
let stranger: readonly [string, string]

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  shop = await lab().container({ network: 'shop' })
  tailored = await lab().container({ network: 'tailored' })
  neighbour = await addressesOf(await serve('neighbour', 'shop', { publish: { [PORT]: 18_090 } }))
  stranger = await addressesOf(await serve('stranger', 'tailored'))
})

test('without the guard: what the engine itself keeps apart, and what it does not', async () => {
  const before = await lab().container({ network: 'shop' })
  const all = [...neighbour, ...stranger].map((address) => page(address))
  expect(await reached(before, all)).toEqual([
    ...neighbour.map((address) => page(address)),
    ...openByEngine(),
  ])
})

describe('under the guard', () => {
  beforeAll(async () => {
    daemon = await lab().daemon({ config: 'allow: [allowed.example]' })
  })

  test.each([0, 1])('the same bridge, with bridge-nf-call-iptables %i', async (on) => {
    const settings = ['iptables', 'ip6tables'].map((tool) => `net.bridge.bridge-nf-call-${tool}=${on}`)
    await lab().host(['sysctl', '-qw', ...settings])
    const read = await lab().host(['sysctl', '-n', 'net.bridge.bridge-nf-call-iptables'])
    expect(read.stdout.trim()).toBe(String(on))
    const own = neighbour.map((address) => page(address))
    expect(await reached(shop, own)).toEqual(own)
    expect((await shop.exec(['ping', '-c', '1', '-W', '2', neighbour[0]])).code).toBe(0)
    expect((await shop.exec(['ping', '-c', '1', '-W', '2', neighbour[1]])).code).toBe(0)
    // A neighbour that nobody has met is found too: neighbour discovery crosses the bridge.
    const late = await addressesOf(await serve(`late-${on}`, 'shop'))
    expect(
      await reached(
        shop,
        late.map((address) => page(address)),
      ),
    ).toEqual(late.map((address) => page(address)))
    // Only with the setting on do frames of the bridge pass the rules at all.
    expect((await bridgedPackets()) > 0).toBe(on === 1)
    // And what leaves the bridge is judged all the same.
    await lab().farEnd.reset()
    expect(
      await reached(shop, [origin('203.0.113.10'), origin('203.0.113.66'), origin('2001:db8:f::66')]),
    ).toEqual([origin('203.0.113.10')])
    expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
    expect(await lab().farEnd.count('2001:db8:f::66')).toBe(0)
  })

  test('another network is not reached, by neither family', async () => {
    expect(
      await reached(
        shop,
        stranger.map((address) => page(address)),
      ),
    ).toEqual([])
    expect(
      await reached(
        tailored,
        neighbour.map((address) => page(address)),
      ),
    ).toEqual([])
  })

  test('a published port answers the world', async () => {
    const { stdout } = await lab().internet(['curl', '-sS', '--max-time', '5', page(HOST.address, 18_090)])
    expect(stdout).toContain('root:x:0:0')
    const [, neighbour6] = neighbour
    // Without NAT a container's own IPv6 address is reached, and its answer gets out: where the engine lets it in.
    const direct = lab().internet(['curl', '-gsS', '--max-time', '5', page(neighbour6)])
    if (closesDirectWays(lab().engineVersion)) await expect(direct).rejects.toThrow('timed out')
    else expect((await direct).stdout).toContain('root:x:0:0')
  })

  test("the host's own traffic is nobody's business", async () => {
    for (const address of ['203.0.113.66', '2001:db8:f::66', '169.254.169.254']) {
      const { stdout } = await lab().host(['curl', '-gsS', '--max-time', '5', origin(address, 8080)])
      expect(stdout).toContain(`hello from ${address} port 8080`)
    }
    const own = [page(neighbour[0]), page(neighbour[1])]
    for (const url of own) expect((await lab().host(['curl', '-gsS', url])).stdout).toContain('root:x:0:0')
  })
})

describe('where the policy would let through', () => {
  beforeAll(async () => {
    await daemon.term()
    const entries = ['172.16.0.0/12', 'fd00:d0c::/32', '203.0.113.66/32', '2001:db8:f::66/128']
    const allow = entries.map((cidr) => `{ cidr: '${cidr}', ports: [80/tcp, ${PORT}/tcp] }`)
    daemon = await lab().daemon({ config: `allow: [${allow.join(', ')}]` })
  })

  test('the engine still keeps its networks apart', async () => {
    const all = [...stranger, ...neighbour].map((address) => page(address))
    expect(await reached(shop, [...all, origin('203.0.113.66'), origin('2001:db8:f::66')])).toEqual([
      ...openByEngine(),
      ...neighbour.map((address) => page(address)),
      origin('203.0.113.66'),
      origin('2001:db8:f::66'),
    ])
  })

  test('an internal network stays internal', async () => {
    await lab().network('vault', { internal: true })
    const inside = await lab().container({ network: 'vault', caps: ['NET_ADMIN'] })
    // Where the engine gives it no route, a hostile container makes one.
    const [own = ''] = (await inside.addresses()).ipv4
    const gateway = own.replace(/\d+$/, '1')
    const route = await inside.exec(['ip', 'route', 'replace', 'default', 'via', gateway])
    expect(route).toMatchObject({ code: 0, stderr: '' })
    await lab().farEnd.reset()
    expect(await reached(inside, [origin('203.0.113.66'), page(stranger[0])])).toEqual([])
    expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
  })
})

/** Engines before 27 do not filter IPv6 unless told to: networks reach each other. */
const openByEngine = (): string[] => (lab().engineVersion === '28.5' ? [] : [page(stranger[1])])

async function bridgedPackets(): Promise<number> {
  const { stdout } = await lab().host(['iptables', '-nvxL', 'EMBARGOD-VERDICT'])
  const line = stdout.split('\n').find((text) => text.includes('[bridged ')) ?? ''
  return Number(line.trim().split(/\s+/)[0])
}
