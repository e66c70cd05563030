import { readFile } from 'node:fs/promises'
import { afterEach, beforeAll, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { leaksDuring } from './leaks.ts'
import { useLab } from './shared-lab.ts'
import { SystemdHost } from './systemd-host.ts'
import { fetchPage } from './web.ts'

/** What stands from the first moments of a boot on, and what starts in which order. */
const lab = useLab({ name: 'boot', startEngine: false })

const CONFIG = 'allow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n'
const PAGE = 'http://allowed.example/'

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
  if (task.result?.state === 'fail')
    for (const unit of ['embargod.service', 'embargod-early.service']) console.error(await host.status(unit))
})

const shell = async (script: string): Promise<string> => (await host.run(['sh', '-c', script])).stdout.trim()
const stamp = async (unit: string, property = 'ActiveEnterTimestampMonotonic'): Promise<number> =>
  Number(await host.show(unit, property))
const isUp = async (): Promise<boolean> =>
  (await host.show('embargod.service', 'ActiveState')) === 'active' &&
  (await host.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })).exitCode === 0
const leaks = (seconds: number): Promise<number> =>
  leaksDuring(lab(), shop, async () => undefined, { seconds })

/** The engine beside systemd ends and starts with the host. */
async function reboot(): Promise<void> {
  await lab().engine.stop()
  await host.powerOff()
  await host.boot()
}

async function startEngine(): Promise<void> {
  await lab().engine.start(['--data-root=/var/lib/docker'])
  shop = await lab().container()
}

async function expectGuarded(): Promise<void> {
  await lab().waitFor('the allowed page is fetched', async () => (await fetchPage(shop, PAGE)).code === 0)
  expect(await leaks(1)).toBe(0)
}

test('unguarded, the flood arrives', async () => {
  expect(await leaks(1)).toBeGreaterThan(1000)
})

test('the closed guard stands before the network, without Node and without the daemon', async () => {
  await host.run(['systemctl', 'enable', 'embargod-early.service'])
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('an apply that writes the closed guard', isUp)
  await reboot()
  expect(await shell('nft list chain inet embargod-guard forward')).toContain('hook forward')
  expect(await host.show('embargod.service', 'ActiveState')).toBe('inactive')
  const closed = await stamp('embargod-early.service')
  expect(closed).toBeGreaterThan(0)
  expect(await stamp('network-pre.target')).toBeGreaterThanOrEqual(closed)
  await startEngine()
  expect(await leaks(1)).toBe(0)
  expect((await fetchPage(shop, PAGE, { timeoutMs: 1000 })).code).not.toBe(0)
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('it is up', isUp)
  await expectGuarded()
})

test('a bad config with an accepted one before: that is enforced, and the status says so', async () => {
  await host.run(['systemctl', 'enable', 'embargod.service'])
  await host.write('/etc/embargod/embargod.yaml', 'allow: [allowed.example]\nalow: []\n', '0600')
  await reboot()
  await waitForState('active')
  expect(await host.status('embargod.service')).toMatch(/Status: "degraded: .*embargod\.yaml is refused/)
  await startEngine()
  await expectGuarded()
})

test('a bad config with nothing before it: closed, and the status says why', async () => {
  await forget()
  await reboot()
  await waitForState('failed')
  expect(await host.journal('embargod-early.service')).toContain('no closed guard was saved yet')
  const status = await host.status('embargod.service')
  expect(status).toMatch(/embargod\.yaml:2:1: .*alow/)
  expect(status).toMatch(/Status: "closed, .*embargod\.yaml:2:1/)
  await startEngine()
  expect(await leaks(2)).toBe(0)
  await host.write('/etc/embargod/embargod.yaml', CONFIG, '0600')
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('it is up', isUp)
  await expectGuarded()
})

test('without nft the early guard says what is missing', async () => {
  await host.run(['mv', '/usr/sbin/nft', '/usr/sbin/nft.away'])
  try {
    await host.run(['systemctl', 'restart', 'embargod-early.service'], { okExitCodes: [1] })
    expect(await host.show('embargod-early.service', 'Result')).toBe('exit-code')
    expect(await host.status('embargod-early.service')).toContain('apt-get install nftables')
  } finally {
    await host.run(['mv', '/usr/sbin/nft.away', '/usr/sbin/nft'])
  }
})

test('docker starts after it, though it asks at the socket that would start docker', async () => {
  await host.write('/etc/systemd/system/docker.socket', DOCKER_SOCKET)
  await host.write('/etc/systemd/system/docker.service', DOCKER_SERVICE)
  await host.run(['systemctl', 'enable', 'docker.socket', 'docker.service'])
  await host.write('/etc/embargod/embargod.yaml', `${CONFIG}docker: { socket: /run/stand-in.sock }\n`, '0600')
  await reboot()
  await waitForState('active')
  const enforcing = await stamp('embargod.service')
  // Half a minute would be a start that waits for docker, which waits for it.
  expect(enforcing - (await stamp('embargod.service', 'InactiveExitTimestampMonotonic'))).toBeLessThan(15e6)
  await waitForState('active', 'docker.service')
  expect(await stamp('docker.service', 'ExecMainStartTimestampMonotonic')).toBeGreaterThanOrEqual(enforcing)
  expect(await shell('nft list chain inet embargod-guard forward')).toContain('hook forward')
})

test('where docker requires it, docker stays down without a policy, and outlives its restarts', async () => {
  const dropIn = await readFile(new URL('../../deploy/docker-require-embargod.conf', import.meta.url), 'utf8')
  await host.write('/etc/systemd/system/docker.service.d/require-embargod.conf', dropIn)
  await host.run(['systemctl', 'daemon-reload'])
  await host.run(['systemctl', 'start', 'docker.service'])
  const docker = await host.show('docker.service', 'MainPID')
  await host.run(['systemctl', 'kill', '--signal=KILL', 'embargod.service'])
  await lab().waitFor('it came back', async () => (await host.show('embargod.service', 'NRestarts')) === '1')
  await waitForState('active')
  await host.run(['systemctl', 'restart', 'embargod.service'])
  expect(Number(docker)).toBeGreaterThan(0)
  expect(await host.show('docker.service', 'MainPID')).toBe(docker)

  await host.write('/etc/embargod/embargod.yaml', 'alow: []\n', '0600')
  await forget()
  await reboot()
  await waitForState('failed')
  await waitForState('failed', 'docker.service')
  expect((await host.run(['systemctl', 'start', 'docker.service'], { okExitCodes: [1] })).exitCode).toBe(1)
  expect(await host.show('docker.service', 'ExecMainStartTimestampMonotonic')).toBe('0')
})

const waitForState = (state: string, unit = 'embargod.service'): Promise<void> =>
  lab().waitFor(`${unit} is ${state}`, async () => (await host.show(unit, 'ActiveState')) === state, 20_000)

/** As on a host where it never ran. */
const forget = (): Promise<string> =>
  shell('systemctl stop embargod.service; rm -rf /var/lib/embargod/* && sync')

/** As Debian's, with a program that never answers. */
const DOCKER_SOCKET = `[Socket]
ListenStream=/run/stand-in.sock
[Install]
WantedBy=sockets.target
`
const DOCKER_SERVICE = `[Unit]
After=network-online.target docker.socket
Wants=network-online.target
Requires=docker.socket
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
`
