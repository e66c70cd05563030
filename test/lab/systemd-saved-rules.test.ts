import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { unpacked } from './debian-package.ts'
import { leaksDuring } from './leaks.ts'
import { origin, reached } from './reach.ts'
import { useLab } from './shared-lab.ts'
import { SystemdHost } from './systemd-host.ts'

/** A host that saves its firewall, and ours with it, and loads the file at boot. */
const lab = useLab({ name: 'saved', startEngine: false })

const RESOLVER = 'resolver: { servers: [198.51.100.1] }\n'
const ALLOWED = origin('203.0.113.12')
/** Allowed by the config under which the rules were saved, and by none after it. */
const FORMERLY = origin('203.0.113.66', 443)
const WIDE = `allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }, { to: internet, ports: [443/tcp] }]\n${RESOLVER}`
const NARROW = `allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]\n${RESOLVER}`
/** The host's own, which has nothing to do with us. */
const OWN = ['INPUT', '-p', 'tcp', '-m', 'tcp', '--dport', '4242', '-j', 'DROP'] as const

let host: SystemdHost
let shop: LabContainer

beforeAll(async () => {
  host = new SystemdHost(lab())
  await host.installEmbargod()
  await host.install('etc/embargod/embargod.yaml', WIDE, 0o600)
  for (const name of ['netfilter-persistent', 'iptables-persistent'])
    await host.installTree(await unpacked(name))
  await host.startEngine()
  await host.boot()
  await host.run(['systemctl', 'enable', 'netfilter-persistent', 'embargod-early', 'embargod'])
}, 900_000)

afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return
  for (const unit of ['netfilter-persistent', 'embargod-saved-sets', 'embargod-early', 'embargod'])
    console.error(await host.status(`${unit}.service`))
})

const shell = async (script: string): Promise<string> => (await host.run(['sh', '-c', script])).stdout.trim()
const leaks = (): Promise<number> => leaksDuring(lab(), shop, async () => undefined, { seconds: 1 })

async function reboot(): Promise<void> {
  await lab().engine.stop()
  await host.powerOff()
  await host.boot()
}

async function startEngine(): Promise<void> {
  await lab().engine.start(['--data-root=/var/lib/docker'])
  shop = await lab().container()
}

async function startDaemon(config: string): Promise<void> {
  await host.write('/etc/embargod/embargod.yaml', config, '0600')
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('it is healthy', async () => {
    return (await host.run(['embargod', 'status'], { okExitCodes: [4, 5] })).exitCode === 0
  })
  // What was wrong when it said READY is over.
  await lab().waitFor('systemd knows it, too', async () =>
    (await host.status('embargod.service')).includes('Status: "enforcing'),
  )
}

/** The firewall that the host has after the boot, before any daemon. */
async function expectLoaded(tools: readonly string[]): Promise<void> {
  expect(await host.show('netfilter-persistent.service', 'Result')).toBe('success')
  for (const tool of tools) {
    await host.run([tool, '-C', ...OWN])
    expect(await shell(`${tool}-save -t filter`)).toContain('-A EMBARGOD ')
  }
}

async function expectNothingStale(): Promise<void> {
  for (const tool of ['iptables', 'ip6tables']) {
    const rules = (await shell(`${tool}-nft-save; ${tool}-legacy-save`)).split('\n')
    expect(rules.filter((line) => line.endsWith(' -j EMBARGOD'))).toHaveLength(1)
    expect(rules.filter((line) => /EMBARGOD-OLD/.test(line))).toEqual([])
  }
  expect(await shell('ipset list -n')).not.toContain('embargod-old')
  expect(await shell('embargod plan')).toMatch(/nothing to do/i)
}

test('the host begins with rules of its own, and saves them with ours', async () => {
  shop = await lab().container()
  for (const tool of ['iptables', 'ip6tables']) await host.run([tool, '-A', ...OWN])
  await startDaemon(WIDE)
  expect(await reached(shop, [ALLOWED, FORMERLY])).toEqual([ALLOWED, FORMERLY])
  await host.run(['netfilter-persistent', 'save'])
  expect(await shell('grep -c match-set /etc/iptables/rules.v4')).not.toBe('0')
  expect(await shell('grep -c bytecode /etc/iptables/rules.v6')).not.toBe('0')
})

describe.each([
  ['nft', ['iptables', 'ip6tables']],
  ['legacy', ['iptables-legacy', 'ip6tables-legacy']],
] as const)('where iptables is iptables-%s, after a boot', (flavour, tools) => {
  test('the file loads, and opens nothing: the closed guard takes no approval of old rules', async () => {
    await host.run(['systemctl', 'disable', 'embargod.service'])
    for (const tool of ['iptables', 'ip6tables'])
      await host.run(['update-alternatives', '--set', tool, `/usr/sbin/${tool}-${flavour}`])
    // As an older or newer version would have it: another jump, another chain, a set that nobody knows.
    for (const [file, family] of [
      ['rules.v4', 4],
      ['rules.v6', 6],
    ] as const)
      await shell(
        `grep -q EMBARGOD-OLD /etc/iptables/${file} || sed -i -e '/^\\*filter/,/^COMMIT/{s/^:EMBARGOD /:EMBARGOD-OLD - [0:0]\\n&/;s/^COMMIT/-A FORWARD -j EMBARGOD-OLD\\n-A EMBARGOD-OLD -m set --match-set embargod-old-abcdef-${family} dst -j MARK --set-xmark 0x20000000\\/0x20000000\\nCOMMIT/}' /etc/iptables/${file}`,
      )
    await reboot()
    await expectLoaded(tools)
    await startEngine()
    expect(await leaks()).toBe(0)
    expect(await reached(shop, [ALLOWED, FORMERLY], { seconds: 2 })).toEqual([])
  })

  test('the daemon puts right what the file brought back, and keeps the rest', async () => {
    await startDaemon(NARROW)
    await lab().waitFor('what is allowed answers', async () => (await reached(shop, [ALLOWED])).length === 1)
    expect(await reached(shop, [FORMERLY], { seconds: 2 })).toEqual([])
    expect(await leaks()).toBe(0)
    await expectNothingStale()
    for (const tool of tools) await host.run([tool, '-C', ...OWN])
    await host.run(['systemctl', 'stop', 'embargod.service'])
  })
})

test('sets that somebody saves too come back as he has them, and ours without the addresses of then', async () => {
  for (const tool of ['iptables', 'ip6tables']) {
    await host.run(['update-alternatives', '--set', tool, `/usr/sbin/${tool}-nft`])
    await host.run([tool, '-A', ...OWN])
  }
  const plugin = 'usr/share/netfilter-persistent/plugins.d/10-ipset'
  await host.write(
    `/${plugin}`,
    await readFile(join(await unpacked('ipset-persistent'), plugin), 'utf8'),
    '0755',
  )
  await startDaemon(`allow: [allowed.example]\n${RESOLVER}`)
  await host.run(['systemctl', 'enable', 'embargod.service'])
  await host.run(['systemctl', 'stop', 'embargod.service'])
  // An address that the name had long ago, and the office that rules of the host name.
  const set = await shell(
    "ipset save | sed -n 's/^add \\(embargod-common-[^ ]*-4\\) .*allowed.example.*/\\1/p' | head -n 1",
  )
  await host.run(['ipset', 'add', set, '203.0.113.66', 'timeout', '86000', 'comment', 'allowed.example'])
  await host.run(['ipset', 'create', 'office', 'hash:net'])
  await host.run(['ipset', 'add', 'office', '192.0.2.0/24'])
  await host.run(['iptables', '-A', 'INPUT', '-m', 'set', '--match-set', 'office', 'src', '-j', 'ACCEPT'])
  await host.run(['netfilter-persistent', 'save'])
  expect(await shell('cat /etc/iptables/ipsets')).toContain(`add ${set} 203.0.113.66`)

  await reboot()
  await expectLoaded(['iptables', 'ip6tables'])
  expect(await host.show('embargod-saved-sets.service', 'Result')).toBe('success')
  expect(await shell('ipset test office 192.0.2.7 2>&1')).toContain('is in set office')
  await startEngine()
  await lab().waitFor(
    'the name is open',
    async () => (await reached(shop, [origin('203.0.113.10')])).length === 1,
  )
  expect(await leaks()).toBe(0)
  expect(await reached(shop, [origin('203.0.113.66')], { seconds: 2 })).toEqual([])
  expect(await shell('ipset list')).not.toContain('203.0.113.66')
})

test('a guard out of a file in which somebody saved all tables gives way to the closed one', async () => {
  await host.run(['systemctl', 'disable', 'netfilter-persistent', 'embargod'])
  // The number of a link that was left alone then is that of another one now: here it lets every bridge out.
  const stale = [
    'flush ruleset',
    'table inet embargod-guard {',
    'chain forward {',
    'type filter hook forward priority 10; policy accept;',
    'meta iifkind "bridge" return',
    '}',
    '}',
    '',
  ].join('\n')
  await host.write('/etc/nftables.conf', stale)
  await host.run(['systemctl', 'enable', 'nftables.service'])
  await reboot()
  expect(await host.show('nftables.service', 'Result')).toBe('success')
  await startEngine()
  expect(await leaks()).toBe(0)
  // Once the daemon is up its guard is left alone.
  await startDaemon(NARROW)
  await host.run(['systemctl', 'restart', 'embargod-early.service'])
  expect(await host.status('embargod-early.service')).toContain('left alone')
  expect(await reached(shop, [ALLOWED])).toEqual([ALLOWED])
})
