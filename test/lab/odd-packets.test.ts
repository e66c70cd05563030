import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { arrivedKinds, flood, type OddPacket, sendOdd } from './packets.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/** Packets that no honest program sends, and floods of those that it does. None gets out; without the guard all do. */
const lab = useLab({ name: 'odd' })

const NETWORKS = ['bridge', 'shop', 'tailored'] as const
const FLOODS = [
  ['203.0.113.66', 'udp'],
  ['203.0.113.67', 'syn'],
  ['2001:db8:f::66', 'udp'],
  ['2001:db8:f::67', 'syn'],
] as const

const containers = new Map<string, LabContainer>()
const from = (network: string): LabContainer => {
  const container = containers.get(network)
  if (!container) throw new Error(`no container in ${network}`)
  return container
}
let daemon: Daemon

async function oddPackets(network: string): Promise<{ sent: string[]; arrived: readonly string[] }> {
  const odd: readonly OddPacket[] = await sendOdd(from(network), { count: 3 })
  return { sent: odd.map(({ kind }) => kind), arrived: await arrivedKinds(odd, lab().farEnd) }
}

async function floods(network: string): Promise<{ sent: number[]; arrived: number[] }> {
  const sent: number[] = []
  const arrived: number[] = []
  for (const [dst, proto] of FLOODS) {
    sent.push(await flood(from(network), { dst, proto, rate: 2000, seconds: 1 }))
    arrived.push(await lab().farEnd.count(dst))
  }
  return { sent, arrived }
}

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('tailored', { ipv6: true, bridge: 'my-bridge.7' })
  for (const network of NETWORKS) containers.set(network, await lab().container({ network }))
  daemon = await lab().daemon({ config: 'allow: [allowed.example]' })
})

describe.each(NETWORKS)('under the guard, from network %s', (network) => {
  test('no odd packet arrives', async () => {
    await lab().farEnd.reset()
    const { sent, arrived } = await oddPackets(network)
    expect(sent.length).toBeGreaterThan(40)
    expect(arrived).toEqual([])
    const strangers = [...(await lab().farEnd.totals()).keys()].filter((address) => !isResolver(address))
    expect(strangers).toEqual([])
  })

  test('no packet of a flood arrives', async () => {
    await lab().farEnd.reset()
    const { sent, arrived } = await floods(network)
    expect(sent).toEqual([2000, 2000, 2000, 2000])
    expect(arrived).toEqual([0, 0, 0, 0])
  })
})

test('what was denied is counted by its reason', async () => {
  await lab().waitFor(
    'forged sources and the rest are counted for every network',
    async () => {
      const page = await scrape(lab())
      return NETWORKS.every(
        (network) => (page.value('denied_packets_total', { network, reason: 'policy' }) ?? 0) > 8000,
      )
    },
    40_000,
  )
  const { packets } = await forgedPackets()
  expect(packets).toBeGreaterThanOrEqual(NETWORKS.length * 3 * 2)
})

describe('each guard holds alone', () => {
  test('without the rules the backstop drops what nobody approved', async () => {
    await daemon.term()
    for (const tool of ['iptables', 'ip6tables']) await lab().host([tool, '-F', 'EMBARGOD'])
    await lab().host(['iptables', '-t', 'raw', '-F', 'PREROUTING'])
    await lab().host(['ip6tables', '-t', 'raw', '-F', 'PREROUTING'])
    await lab().farEnd.reset()
    for (const network of NETWORKS) expect(await oddPackets(network), network).toMatchObject({ arrived: [] })
    expect((await floods('shop')).arrived).toEqual([0, 0, 0, 0])
  })

  test('without the backstop the rules stop all of it', async () => {
    daemon = await lab().daemon({ config: 'allow: [allowed.example]' })
    await daemon.term()
    await lab().host(['nft', 'delete', 'table', 'inet', 'embargod-guard'])
    await lab().farEnd.reset()
    for (const network of NETWORKS) expect(await oddPackets(network), network).toMatchObject({ arrived: [] })
    expect((await floods('shop')).arrived).toEqual([0, 0, 0, 0])
  })
})

describe('with the guard removed', () => {
  beforeAll(async () => {
    expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  })

  test.each(NETWORKS)('every kind leaks from network %s', async (network) => {
    await lab().farEnd.reset()
    const { sent, arrived } = await oddPackets(network)
    expect(sent.length).toBeGreaterThan(40)
    expect(arrived).toEqual(sent)
  })

  test.each(NETWORKS)('every packet of a flood leaks from network %s', async (network) => {
    await lab().farEnd.reset()
    const { sent, arrived } = await floods(network)
    expect(arrived).toEqual(sent)
  })
})

const isResolver = (address: string): boolean => ['198.51.100.1', '2001:db8:1::1'].includes(address)

async function forgedPackets(): Promise<{ packets: number }> {
  let packets = 0
  for (const tool of ['iptables', 'ip6tables']) {
    const { stdout } = await lab().host([tool, '-t', 'raw', '-nvxL', 'EMBARGOD-D-FORGED'])
    const drop = stdout.split('\n').find((line) => line.includes('DROP')) ?? ''
    packets += Number(drop.trim().split(/\s+/)[0])
  }
  return { packets }
}
