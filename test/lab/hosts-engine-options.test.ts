import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { FAMILIES } from '../../src/net/types.ts'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { ALLOWS, holds, isOpen, isWhole, named, statusOf } from './host-kinds.ts'
import { steadyFlood } from './leaks.ts'
import { flood } from './packets.ts'
import { origin, reached } from './reach.ts'
import { rulesOf } from './rules.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { moveLink } from './topology.ts'

/** Engines that are told to leave the firewall alone, or half of it, and bridges that are not what they seem. */
const lab = useLab({ name: 'options', ipv6: false })

/** A container on a network with both families, open first and then guarded. */
async function guarded(): Promise<{ from: LabContainer; daemon: Daemon }> {
  await lab().network('shop', { ipv6: true, bridge: 'shop0' })
  const from = await lab().container({ network: 'shop', caps: ['NET_ADMIN'] })
  onTestFinished(async () => {
    await from.stop()
    await lab().docker.getNetwork('shop').remove()
  })
  await isOpen(lab(), from)
  // The daemon goes first, the rules with it: the next test begins on an open host.
  onTestFinished(async () => {
    await lab().cli(['cleanup', '--stop', '--yes'])
    await lab().host(['conntrack', '-F'])
  })
  return { from, daemon: await guard(lab(), { config: ALLOWS }) }
}

describe('an engine without', () => {
  test.each([
    // No jump of Docker's: ours stands in FORWARD. Nothing is translated, so every packet shows its own source.
    ['any rules', ['--iptables=false', '--ip6tables=false'], { 4: 'FORWARD', 6: 'FORWARD' }, true],
    [
      'rules for IPv6 and a default bridge',
      ['--ip6tables=false', '--bridge=none'],
      { 4: 'DOCKER-USER', 6: 'FORWARD' },
      false,
    ],
  ] as const)('%s is guarded all the same', async (_, flags, places, hasDefaultBridge) => {
    await lab().engine.stop()
    // What an engine with other flags left is no part of this host.
    const forget = 'for t in iptables ip6tables; do $t -F; $t -X; $t -t nat -F; $t -t nat -X; done'
    await lab().host(['sh', '-c', forget])
    await lab().engine.start(flags)
    const { from, daemon } = await guarded()
    for (const family of FAMILIES)
      expect((await rulesOf(lab(), family, places[family]))[0], `IPv${family}`).toMatch(/-j EMBARGOD$/)
    await holds(lab(), from, FAMILIES, async () => {
      const network = await lab().network('passing')
      await network.remove()
    })
    await isWhole(lab())
    expect(await named(lab(), daemon)).toEqual([])
    if (hasDefaultBridge) await holds(lab(), await inside(lab()), [4])
  })
})

describe('on a usual engine', () => {
  beforeAll(async () => {
    await lab().restartEngine()
  })

  test('a bridge with a way out of its own is named; where the bridge asks iptables, nothing leaves by it', async () => {
    const { from, daemon } = await guarded()
    const [own = ''] = (await from.addresses()).ipv4
    const next = own.replace(/\d+$/, '77')
    await lab().internet(['ip', 'link', 'add', 'way1', 'type', 'veth', 'peer', 'name', 'way0'])
    onTestFinished(async () => {
      await lab().internet(['ip', 'link', 'delete', 'way1'])
    })
    await moveLink(lab().inetBox, 'way0', `/proc/${lab().hostBox.pid}/ns/net`)
    await lab().internet(['ip', '-batch', '-'], { input: `addr add ${next}/24 dev way1\nlink set way1 up\n` })
    await lab().host(['ip', 'link', 'set', 'way0', 'master', 'shop0', 'up'])
    await lab().waitFor(
      'it is named',
      async () => (await named(lab(), daemon)).join() === 'bridge-uplink shop0',
      20_000,
    )
    // A hostile container sends what is forbidden to its neighbour on the bridge.
    const to = '203.0.113.67'
    await from.exec(['ip', 'route', 'add', to, 'via', next])
    const leaked = async (asks: 0 | 1): Promise<number> => {
      await lab().host(['sysctl', '-qw', `net.bridge.bridge-nf-call-iptables=${asks}`])
      await lab().internet(['nft', '-f', '-'], { input: countFrom('way1', to) })
      await flood(from, { dst: to, proto: 'udp', rate: 500, seconds: 1 })
      const { stdout } = await lab().internet(['nft', 'list', 'table', 'inet', 'way'])
      return Number(/counter packets (\d+)/.exec(stdout)?.[1])
    }
    expect(await leaked(0), 'what is named is so').toBeGreaterThan(400)
    expect(await leaked(1)).toBe(0)
    await holds(lab(), from)
    await lab().host(['ip', 'link', 'set', 'way0', 'nomaster'])
    await lab().waitFor('it is well', async () => (await named(lab(), daemon)).length === 0, 20_000)
  })

  test('an internal network stays internal, for a hostile container too', async () => {
    const { daemon } = await guarded()
    await lab().network('vault', { internal: true, ipv6: true })
    onTestFinished(() => lab().docker.getNetwork('vault').remove())
    const from = await inside(lab(), { network: 'vault', caps: ['NET_ADMIN'] })
    const { ipv4, ipv6 } = await from.addresses()
    const routes = [
      ['-4', ipv4[0]?.replace(/\d+$/, '1')],
      ['-6', ipv6[0]?.replace(/[0-9a-f]+$/, '1')],
    ] as const
    for (const [family, gateway = ''] of routes) {
      const route = await from.exec(['ip', family, 'route', 'replace', 'default', 'via', gateway])
      expect(route).toMatchObject({ code: 0, stderr: '' })
    }
    const flooding = await steadyFlood(lab(), from)
    // Engines before 27 do not close such a network for IPv6: what every container may reach, it may as well.
    const open = ['20.10', '26.1'].includes(lab().engineVersion) ? [origin('2001:db8:f::12')] : []
    const tried = [...open, origin('203.0.113.12'), origin('203.0.113.66'), origin('2001:db8:f::66')]
    expect(await reached(from, tried, { seconds: 2 })).toEqual(open)
    expect(await flooding.stop()).toBe(0)
    const { networks } = await statusOf(lab())
    expect(networks.find(({ name }) => name === 'vault')).toMatchObject({
      guarded: true,
      why: 'internal: the engine lets nothing out',
    })
    expect(await named(lab(), daemon)).toEqual([])
  })
})

/** A counter of what comes by one interface for one address; it begins at none. */
const countFrom = (link: string, to: string): string =>
  [
    'table inet way {}',
    'delete table inet way',
    'table inet way {',
    '  chain arrived {',
    '    type filter hook prerouting priority raw;',
    `    iifname "${link}" ip daddr ${to} counter`,
    '  }',
    '}',
    '',
  ].join('\n')
