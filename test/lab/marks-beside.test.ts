import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { classMark, DEFAULT_MARKS } from '../../src/config/marks.ts'
import type { LabContainer } from './container.ts'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { origin, reached } from './reach.ts'
import { guard } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { LiveConnection } from './web.ts'

/** Other programs write the marks of packets and connections: rights stay what they are, and nobody gets those of somebody else. */
const lab = useLab({ name: 'marks' })

const CONFIG = `
allow: [{ cidrs: [203.0.113.10, '2001:db8:f::10'], ports: [80/tcp] }]
policies:
  shop:
    match: { container: shop }
    allow: [{ cidrs: [203.0.113.20, '2001:db8:f::20'], ports: [80/tcp, 443/tcp, icmp] }]
  mail:
    match: { container: mail }
    allow: [{ cidrs: [203.0.113.30, '2001:db8:f::30'], ports: [80/tcp] }]
`
const FAMILIES = [4, 6] as const
const COMMON = { 4: '203.0.113.10', 6: '2001:db8:f::10' } as const
const SHOP = { 4: '203.0.113.20', 6: '2001:db8:f::20' } as const
const MAIL = { 4: '203.0.113.30', 6: '2001:db8:f::30' } as const

let shop: LabContainer
let mail: LabContainer

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  shop = await lab().container({ name: 'shop', network: 'shop' })
  mail = await lab().container({ name: 'mail', network: 'shop' })
})

const vpn = (rule: string): string =>
  `table inet vpn {
 chain pre {
 type filter hook prerouting priority mangle; policy accept;
 ${rule}
 }
}
`
const mangle = (...rules: readonly string[]): readonly string[] => rules

interface Writer {
  readonly nft?: string
  readonly iptables?: readonly string[]
  /** What `status` says of it, if it has to. */
  readonly told?: RegExp
}

const WRITERS: Readonly<Record<string, Writer>> = {
  'a VPN that restores its own bits': {
    nft: vpn('ct state established,related meta mark set ct mark and 0x00ff0000'),
  },
  'a program that saves and restores whole marks': {
    iptables: mangle('POSTROUTING -j CONNMARK --save-mark', 'PREROUTING -j CONNMARK --restore-mark'),
    told: /IPv4 mangle POSTROUTING: -j CONNMARK --save-mark/,
  },
  'a program that sets all bits in PREROUTING': { nft: vpn('meta mark set 0xffffffff') },
  'a program that gives everybody the number of one class': {
    iptables: mangle(`FORWARD -j MARK --set-mark ${classMark(DEFAULT_MARKS, 1)}`),
  },
  'a program that gives everybody the number of the other class': {
    iptables: mangle(`FORWARD -j MARK --set-mark ${classMark(DEFAULT_MARKS, 2)}`),
  },
}

async function install({ nft, iptables = [] }: Writer): Promise<void> {
  onTestFinished(async () => {
    if (nft !== undefined) await lab().host(['nft', 'delete', 'table', 'inet', 'vpn'])
    for (const tool of ['iptables', 'ip6tables'])
      for (const rule of iptables) await lab().host([tool, '-t', 'mangle', '-D', ...rule.split(' ')])
  })
  if (nft !== undefined) await lab().host(['nft', '-f', '-'], { input: nft })
  for (const tool of ['iptables', 'ip6tables'])
    for (const rule of iptables) await lab().host([tool, '-t', 'mangle', '-A', ...rule.split(' ')])
}

describe.each(Object.entries(WRITERS))('%s', (_, writer) => {
  test('takes no right away and gives none', async () => {
    await guard(lab(), { config: CONFIG })
    await lab().waitFor('the rights are there', async () => {
      const answers = await reached(shop, [origin(SHOP[4])], { seconds: 1 })
      return answers.length === 1
    })
    await install(writer)
    const own = FAMILIES.flatMap((family) => [origin(COMMON[family]), origin(SHOP[family])])
    const others = FAMILIES.map((family) => origin(MAIL[family]))
    const live = await Promise.all(
      FAMILIES.map((family) => LiveConnection.open(shop, origin(SHOP[family], 443))),
    )
    const leaked = await leaksDuring(
      lab(),
      shop,
      async () => {
        expect(await reached(shop, [...own, ...others], { seconds: 2 })).toEqual(own)
        const ofMail = [...FAMILIES.map((family) => origin(COMMON[family])), ...others]
        const ofShop = FAMILIES.map((family) => origin(SHOP[family]))
        expect(await reached(mail, [...ofMail, ...ofShop], { seconds: 2 })).toEqual(ofMail)
        for (const one of live) expect(await one.flows()).toBe(true)
        // In fragments, which are put together ahead of the rules.
        const pinged = await shop.exec(['ping', '-c', '1', '-W', '2', '-s', '3000', SHOP[4]])
        expect(pinged.stdout).toContain('1 packets received')
      },
      { seconds: 8 },
    )
    expect(leaked).toBe(0)
    // Every connection is judged again.
    await lab().embargod.writeConfig(
      CONFIG.replace("203.0.113.10, '2001:db8:f::10'", "203.0.113.10, '2001:db8:f::11'"),
    )
    expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
    for (const one of live) expect(await one.flows(2000), 'after a change of rights').toBe(true)
    const { told } = writer
    await lab().waitFor(
      'status says whose marks are in the way',
      async () => {
        const { code, stdout } = await lab().cli(['status'])
        return told === undefined ? code === 0 : code === 4 && told.test(stdout)
      },
      30_000,
    )
  }, 90_000)
})

test('our own marks are moved onto each other: who was admitted goes on, nobody gets what is not his, and all of it again on the way back', async () => {
  await guard(lab(), { config: CONFIG })
  await lab().waitFor(
    'the rights are there',
    async () => (await reached(shop, [origin(SHOP[4])], { seconds: 1 })).length === 1,
  )
  const live = await Promise.all(
    FAMILIES.map((family) => LiveConnection.open(shop, origin(SHOP[family], 443))),
  )
  const own = FAMILIES.flatMap((family) => [origin(COMMON[family]), origin(SHOP[family])])
  const ofMail = FAMILIES.flatMap((family) => [origin(COMMON[family]), origin(MAIL[family])])
  const others = FAMILIES.map((family) => origin(MAIL[family]))
  const flood = await steadyFlood(lab(), shop)
  for (const guarded of ['{ mark: 0x1, marks: { rights: 0xff800000, generation: 0xff0 } }', '{}']) {
    await lab().embargod.writeConfig(`${CONFIG}guard: ${guarded}\n`)
    expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
    for (const one of live) expect(await one.flows(2000), guarded).toBe(true)
    expect(await reached(shop, [...own, ...others], { seconds: 2 }), guarded).toEqual(own)
    expect(
      await reached(mail, [...ofMail, ...FAMILIES.map((family) => origin(SHOP[family]))], { seconds: 2 }),
    ).toEqual(ofMail)
    expect(await lab().cli(['status']), guarded).toMatchObject({ code: 0 })
    expect(await lab().cli(['verify', '--config', lab().embargod.configFile]), guarded).toMatchObject({
      code: 0,
    })
    expect(await lab().cli(['plan', '--config', lab().embargod.configFile]), guarded).toMatchObject({
      code: 0,
    })
  }
  expect(await flood.stop()).toBe(0)
}, 120_000)

test('a rule of nft that saves whole marks is named', async () => {
  const rule = 'ct mark set meta mark'
  await install({ nft: vpn(rule) })
  // It is named before anything is healthy.
  await guard(lab(), { config: CONFIG, wait: false })
  await lab().waitFor('status names it', async () => {
    const { code, stdout } = await lab().cli(['status'])
    return code === 4 && stdout.includes(`nft inet vpn pre: ${rule}`)
  })
})
