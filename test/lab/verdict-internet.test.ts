import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { addInternetAddresses, origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'

/** Wide entries are as wide as they say, and never reach metadata; what is denied is told at once, or not at all. */
const lab = useLab({ name: 'internet' })

const [PUBLIC, PUBLIC6] = ['203.0.113.66', '2001:db8:f::66']
const [PRIVATE, PRIVATE6] = ['10.77.0.1', 'fd00:77::1']
const [NEVER, NEVER6] = ['203.0.113.99', '2001:db8:f::99']
const METADATA = ['169.254.169.254', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16', 'fd20:ce::254']
/** As a translator or a tunnel beyond this host would take them apart again. */
const WRAPPED = [
  '64:ff9b::a9fe:a9fe',
  '64:ff9b:1::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  '2001::5601:5601',
  '2001:db8:f::5efe:a9fe:a9fe',
]
const WRAPPED_PRIVATE = ['64:ff9b::a4d:1', '2002:a4d:1::1']
const NAT64_PUBLIC = '64:ff9b::cb00:7142'
const never = `never: [${NEVER}/32, '${NEVER6}/128']`

let shop: LabContainer
beforeAll(async () => {
  await addInternetAddresses(lab(), [PRIVATE, PRIVATE6, ...WRAPPED, ...WRAPPED_PRIVATE, NAT64_PUBLIC])
  await lab().network('shop', { ipv6: true })
  shop = await lab().container({ network: 'shop' })
})

async function underPolicy(config: string, task: (daemon: Daemon) => Promise<void>): Promise<void> {
  const daemon = await lab().daemon({ config })
  try {
    await lab().farEnd.reset()
    await task(daemon)
  } finally {
    await daemon.term()
  }
}

async function expectSilence(addresses: readonly string[], port: number): Promise<void> {
  for (const address of addresses)
    expect(await lab().farEnd.count(address, { proto: 'tcp', port }), `${address} port ${port}`).toBe(0)
}

test('`to: internet` is all that is public, on its port', async () => {
  await underPolicy(`allow: [{ to: internet, ports: [443/tcp] }]\n${never}`, async () => {
    const closed = [PRIVATE, PRIVATE6, NEVER, NEVER6, ...METADATA, ...WRAPPED, ...WRAPPED_PRIVATE]
    const all = [PUBLIC, PUBLIC6, NAT64_PUBLIC, ...closed]
    const onPort = all.map((address) => origin(address, 443))
    expect(await reached(shop, onPort)).toEqual(
      [PUBLIC, PUBLIC6, NAT64_PUBLIC].map((address) => origin(address, 443)),
    )
    expect(await reached(shop, [origin(PUBLIC), origin(PUBLIC6)])).toEqual([])
    await expectSilence(closed, 443)
    await expectSilence([PUBLIC, PUBLIC6], 80)
  })
})

test('0.0.0.0/0 and ::/0 are every address, private ones too, on one port, but for metadata and `never`', async () => {
  const allow = `allow: [{ cidr: 0.0.0.0/0, ports: [5432/tcp] }, { cidr: '::/0', ports: [5432/tcp] }]`
  await underPolicy(`${allow}\n${never}`, async () => {
    const reachable = [PUBLIC, PUBLIC6, PRIVATE, PRIVATE6, '198.18.77.1', NAT64_PUBLIC, ...WRAPPED_PRIVATE]
    const all = [...reachable, NEVER, NEVER6, ...METADATA, ...WRAPPED].map((address) => origin(address, 5432))
    expect(await reached(shop, all)).toEqual(reachable.map((address) => origin(address, 5432)))
    expect(await reached(shop, [origin(PUBLIC, 443), origin(PUBLIC6, 443)])).toEqual([])
    await expectSilence([NEVER, NEVER6, ...METADATA, ...WRAPPED], 5432)
    await expectSilence([PUBLIC, PUBLIC6], 443)
  })
})

describe('a denied program is told', () => {
  const curl = async (address: string, port = 443) => {
    const startedMs = Date.now()
    const argv = ['curl', '-sg', '--max-time', '5', origin(address, port)]
    return { ...(await shop.exec(argv)), tookMs: Date.now() - startedMs }
  }
  const question = async (address: string) =>
    (await shop.exec(['dig', '+tries=1', '+time=5', `@${address}`, 'allowed.example'])).stdout

  test('nothing with `denyWith: drop`', async () => {
    await underPolicy('allow: [allowed.example]', async () => {
      for (const address of ['203.0.113.67', '2001:db8:f::67']) {
        expect(await curl(address)).toMatchObject({ code: 28 })
        expect(await question(address)).toContain('timed out')
      }
    })
  })

  test('at once with `denyWith: reject`', async () => {
    await underPolicy('denyWith: reject\nallow: [allowed.example]', async () => {
      for (const address of ['203.0.113.68', '2001:db8:f::68']) {
        const { code, tookMs } = await curl(address)
        expect(code).toBe(7)
        expect(tookMs).toBeLessThan(4000)
        const told = await question(address)
        expect(told).toMatch(/unreachable|permission denied|refused/)
        expect(told).not.toContain('timed out')
        await expectSilence([address], 443)
      }
    })
  })

  test('at once where it asked for metadata, whatever `denyWith` says', async () => {
    await underPolicy('allow: [allowed.example]', async () => {
      for (const address of METADATA) expect((await curl(address, 80)).code, address).toBe(7)
      await expectSilence(METADATA, 80)
    })
  })
})
