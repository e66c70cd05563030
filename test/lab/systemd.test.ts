import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { leaksDuring } from './leaks.ts'
import { useLab } from './shared-lab.ts'
import { SystemdHost } from './systemd-host.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'

/** The units under a real systemd, beside a real engine: what they start, what they survive, what stands when they stop. */
const lab = useLab({ name: 'systemd', startEngine: false })

const CONFIG = 'allow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n'
const PAGE = 'http://allowed.example/'
const GUARD = 'nft list chain inet embargod-guard forward'

let host: SystemdHost
let shop: LabContainer

beforeAll(async () => {
  host = new SystemdHost(lab())
  await host.installEmbargod()
  await host.install('etc/embargod/embargod.yaml', CONFIG, 0o600)
  await host.startEngine()
  await host.boot()
  shop = await lab().container()
}, 900_000)

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await host.status('embargod.service'))
})

const shell = async (script: string): Promise<string> => (await host.run(['sh', '-c', script])).stdout.trim()
const mainPid = async (): Promise<number> => Number(await host.show('embargod.service', 'MainPID'))
const restarts = async (): Promise<number> => Number(await host.show('embargod.service', 'NRestarts'))
const isUp = async (): Promise<boolean> =>
  (await host.show('embargod.service', 'ActiveState')) === 'active' &&
  (await host.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })).exitCode === 0

const leakedDuring = (disturb: () => Promise<unknown>, seconds: number): Promise<number> =>
  leaksDuring(lab(), shop, disturb, { seconds })

async function expectGuarded(): Promise<void> {
  expect(await fetchPage(shop, PAGE)).toMatchObject({ code: 0 })
  expect(await leakedDuring(async () => undefined, 1)).toBe(0)
}

test('unguarded, the flood arrives', async () => {
  expect(await leakedDuring(async () => undefined, 1)).toBeGreaterThan(500)
})

test('the unit is active only when the kernel holds the policy', async () => {
  await host.run(['systemctl', 'start', '--no-block', 'embargod.service'])
  // Looks at the kernel in the first moment in which systemd calls the unit active.
  const seen = await shell(`
    for i in $(seq 3000); do
      state=$(systemctl show embargod.service --property=ActiveState --value)
      [ "$state" = activating ] && activating=1
      [ "$state" = active ] && break
    done
    echo "activating=$activating state=$state"
    iptables-save -t filter | grep -m1 -- '-A DOCKER-USER'
    nft list tables inet`)
  expect(seen).toContain('activating=1 state=active')
  expect(seen).toMatch(/^-A DOCKER-USER .*EMBARGOD/m)
  expect(seen).toContain('table inet embargod-guard')
})

test('a person reads in systemctl status what the daemon does', async () => {
  await lab().waitFor('healthy', isUp)
  expect(await host.status('embargod.service')).toMatch(/Status: "enforcing 1 names"/)
  await expectGuarded()
})

const exposureOf = async (unit: string): Promise<number> => {
  const { stdout } = await host.run(['systemd-analyze', 'security', '--no-pager', unit])
  return Number(/Overall exposure level for \S+ (\d+\.\d+)/.exec(stdout)?.[1])
}

test('the early guard has what a sandbox without mounts gives', async () => {
  expect(await exposureOf('embargod-early.service')).toBeLessThanOrEqual(6)
  expect(await host.show('embargod-early.service', 'CapabilityBoundingSet')).toBe('cap_net_admin')
  expect(await host.show('embargod-early.service', 'NoNewPrivileges')).toBe('yes')
})

test('its exposure is low', async () => {
  expect(await exposureOf('embargod.service')).toBeLessThanOrEqual(3)
  const status = await shell('cat /proc/$(systemctl show embargod --property=MainPID --value)/status')
  expect(status).toMatch(/^CapEff:\s+0000000000003000$/m)
  expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
  expect(status).toMatch(/^Seccomp:\s+2$/m)
  expect(await host.show('embargod.service', 'MemoryMax')).toBe(String(1024 ** 3))
  const inside = (test: string) =>
    shell(
      `nsenter --mount --target=$(systemctl show embargod --property=MainPID --value) ${test} && echo yes || true`,
    )
  expect(await inside('test -e /etc/passwd')).toBe('yes')
  // Of what is out of bounds nothing can be read.
  expect(await inside('test -s /etc/shadow')).toBe('')
})

describe('within its hardening', () => {
  test('rules match sets, both guards stand, state and metrics are written', async () => {
    expect(await shell('iptables-save')).toMatch(/-m set --match-set embargod-\S+ dst/)
    await lab().waitFor('the address is in the kernel', async () =>
      (await shell('ipset save')).includes('203.0.113.10'),
    )
    expect(await shell(GUARD)).toContain('hook forward')
    const metrics = await shell(
      `node -e "fetch('http://127.0.0.1:9464/metrics').then((r) => r.text()).then(console.log)"`,
    )
    expect(metrics).toMatch(/^embargod_enforcing\{guard="rules"\} 1$/m)
    expect(metrics).toMatch(/^embargod_enforcing\{guard="backstop"\} 1$/m)
    expect(metrics).toMatch(/^embargod_docker_connected 1$/m)
    await lab().waitFor('addresses are saved', async () =>
      (await shell('ls /var/lib/embargod')).includes('addresses.json'),
    )
    expect(await shell('stat -c %a /var/lib/embargod/closed-guard.nft')).toBe('600')
    expect(await shell('stat -c %a /run/embargod')).toBe('700')
    const log = await host.journal('embargod.service')
    expect(log).toContain('"msg":"enforcing"')
    // What no host of this kind is protected from is said on every one.
    const warned = log.split('\n').filter((line) => /"level":"(warn|error)"/.test(line))
    expect(warned.filter((line) => !line.includes('"msg":"not protected"'))).toEqual([])
  })

  test("the engine's files and command line tell which resolvers containers have", async () => {
    const asks = (server: string) =>
      shop.exec(['dig', '+short', '+time=1', '+tries=1', `@${server}`, 'allowed.example'])
    expect((await asks('203.0.113.53')).code).not.toBe(0)
    // A dockerd with every capability, of which a process with two may read no more than anybody.
    await host.write('/usr/local/bin/dockerd', '#!/bin/sh\nwhile :; do sleep 1; done\n', '0755')
    await host.run(['systemd-run', '--unit=stand-in', '/usr/local/bin/dockerd', '--dns', '203.0.113.53'])
    await host.run(['systemctl', 'reload', 'embargod.service'])
    await lab().waitFor('the resolver of the command line is open', async () =>
      (await asks('203.0.113.53')).stdout.includes('203.0.113.10'),
    )
    await host.run(['systemctl', 'stop', 'stand-in.service'])
  })
})

test('reload takes over a config, and a bad one changes nothing', async () => {
  const pid = await mainPid()
  await host.write('/etc/embargod/embargod.yaml', CONFIG.replace(']', ', api.example]'), '0600')
  await host.run(['systemctl', 'reload', 'embargod.service'])
  await lab().waitFor(
    'the new name is reached',
    async () => (await fetchPage(shop, 'http://api.example/', { timeoutMs: 1000 })).code === 0,
  )
  // Said a moment after it is in force.
  await lab().waitFor('the status says so', async () =>
    (await host.status('embargod.service')).includes('Status: "enforcing 2 names"'),
  )
  await host.write('/etc/embargod/embargod.yaml', 'allow: [..]\n', '0600')
  await host.run(['systemctl', 'reload', 'embargod.service'])
  await lab().waitFor('the status says so', async () =>
    (await host.status('embargod.service')).includes('is refused'),
  )
  expect(await fetchPage(shop, 'http://api.example/')).toMatchObject({ code: 0 })
  await host.write('/etc/embargod/embargod.yaml', CONFIG, '0600')
  await host.run(['systemctl', 'reload', 'embargod.service'])
  await lab().waitFor('recovered', isUp)
  expect(await mainPid()).toBe(pid)
})

test('killed, it comes back by itself, and nothing leaks', async () => {
  const [pid, before] = [await mainPid(), await restarts()]
  const leaked = await leakedDuring(() => host.run(['systemctl', 'kill', '--signal=KILL', 'embargod']), 4)
  expect(leaked).toBe(0)
  await lab().waitFor('it is up again', isUp, 20_000)
  expect(await restarts()).toBe(before + 1)
  expect(await mainPid()).not.toBe(pid)
  await expectGuarded()
})

describe('with a watchdog of six seconds', () => {
  beforeAll(async () => {
    await host.write('/etc/systemd/system/embargod.service.d/watchdog.conf', '[Service]\nWatchdogSec=6\n')
    await host.run(['systemctl', 'daemon-reload'])
    await host.run(['systemctl', 'restart', 'embargod.service'])
    await lab().waitFor('it is up', isUp)
  })

  test('it lives: the loop feeds the watchdog', async () => {
    const pid = await mainPid()
    await sleep(13_000)
    expect(await mainPid()).toBe(pid)
    expect(await isUp()).toBe(true)
  })

  test('hung, it is restarted, and nothing leaks', async () => {
    const [pid, before] = [await mainPid(), await restarts()]
    const leaked = await leakedDuring(() => host.run(['kill', '-STOP', String(pid)]), 10)
    expect(leaked).toBe(0)
    await lab().waitFor('it is up again', async () => (await mainPid()) !== pid && isUp(), 30_000)
    expect(await restarts()).toBe(before + 1)
    expect(await host.journal('embargod.service')).toContain('Watchdog timeout')
    await expectGuarded()
  })

  test('with a tool that hangs it is restarted, and is up when the tool is well', async () => {
    const before = await restarts()
    await shell('mv /usr/sbin/ipset /usr/sbin/ipset.well')
    await host.write('/usr/sbin/ipset', '#!/bin/sh\nexec sleep 600\n', '0755')
    try {
      await lab().waitFor('the watchdog ends it', async () => (await restarts()) > before, 30_000)
      expect(await leakedDuring(async () => undefined, 1)).toBe(0)
      // What hung went with it.
      expect(await shell('pgrep -fc "^sleep 600" || true')).toMatch(/^[01]$/)
    } finally {
      await shell('mv /usr/sbin/ipset.well /usr/sbin/ipset')
    }
    await lab().waitFor('it is up again', isUp, 60_000)
    await expectGuarded()
  })
})

test('stopped, it leaves the rules; started, it takes them over', async () => {
  await shell('rm -r /etc/systemd/system/embargod.service.d; systemctl daemon-reload')
  const rules = "iptables-save -t filter | grep -c '^-A EMBARGOD'"
  const before = await shell(rules)
  expect(await leakedDuring(() => host.run(['systemctl', 'stop', 'embargod.service']), 3)).toBe(0)
  expect(await host.show('embargod.service', 'ActiveState')).toBe('inactive')
  expect(await shell(rules)).toBe(before)
  await expectGuarded()
  expect(await leakedDuring(() => host.run(['systemctl', 'start', 'embargod.service']), 3)).toBe(0)
  expect(await leakedDuring(() => host.run(['systemctl', 'restart', 'embargod.service']), 3)).toBe(0)
  await lab().waitFor('it is up', isUp)
  await expectGuarded()
})

describe('with the DNS gateway', () => {
  const ask = (seconds: number, ...at: string[]): Promise<string> =>
    shop
      .exec(['dig', '+tries=1', `+time=${seconds}`, '+short', 'allowed.example', ...at])
      .then(({ stdout }) => stdout.trim())

  test('its sockets outlive a restart: no question is lost', async () => {
    await host.write('/etc/embargod/embargod.yaml', `${CONFIG}dns: { gateway: true }\n`)
    await host.run(['systemctl', 'reload', 'embargod.service'])
    await lab().waitFor('the gateway answers', async () => (await ask(1)) === '203.0.113.10')
    // From now on systemd holds them.
    await host.run(['systemctl', 'restart', 'embargod.service'])
    await lab().waitFor('it is up', isUp)
    expect(await host.show('embargod-dns.socket', 'ActiveState')).toBe('active')
    const restarted = Promise.all([
      host.run(['systemctl', 'restart', 'embargod.service']),
      shell('systemctl kill -s KILL embargod.service; sleep 3'),
    ])
    const over = restarted.then(() => 'over')
    const answers: string[] = []
    // One datagram each: what is lost is not asked again.
    while ((await Promise.race([over, sleep(0)])) !== 'over') {
      answers.push(await ask(10))
      for (const how of [[], ['+tcp']]) answers.push(await ask(10, `@${INET.dns6}`, ...how))
    }
    expect(answers.length).toBeGreaterThan(5)
    expect(answers.filter((answer) => answer !== '203.0.113.10')).toEqual([])
    await lab().waitFor('it is up again', isUp)
    // In its sandbox too it has its ways to the kernel.
    expect(await host.journal('embargod.service')).not.toContain('one message at a time')
  })

  test('a packet for it does not start a daemon that was stopped', async () => {
    await host.run(['systemctl', 'stop', 'embargod.service'])
    expect(await ask(1)).not.toBe('203.0.113.10')
    expect(await host.show('embargod.service', 'ActiveState')).toBe('inactive')
    await host.run(['systemctl', 'start', 'embargod.service'])
    expect(await ask(5)).toBe('203.0.113.10')
  })

  test('without it in the config, they are gone at the next start', async () => {
    await host.write('/etc/embargod/embargod.yaml', CONFIG)
    await host.run(['systemctl', 'reload', 'embargod.service'])
    await host.run(['systemctl', 'stop', 'embargod.service', 'embargod-dns.socket'])
    await host.run(['systemctl', 'start', 'embargod.service'])
    expect(await host.show('embargod-dns.socket', 'ActiveState')).toBe('inactive')
    expect(await ask(2)).toBe('203.0.113.10')
  })
})

test('the early guard, loaded again beside the daemon, touches nothing', async () => {
  const handles = () => shell('nft --handle list table inet embargod-guard | grep handle')
  const before = await handles()
  for (const verb of ['restart', 'stop', 'start'])
    await host.run(['systemctl', verb, 'embargod-early.service'])
  expect(await handles().then(withoutCounters)).toBe(withoutCounters(before))
  expect(await host.status('embargod-early.service')).toContain('left alone')
  await expectGuarded()
})

const withoutCounters = (text: string): string => text.replace(/packets \d+ bytes \d+/g, '')
