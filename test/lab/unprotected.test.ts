import { expect, onTestFinished, test } from 'vitest'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/**
 * What this host does not hold is said, of whom, and no longer than it is so. (A privileged container needs a machine
 * with every capability: it is told of by an engine that only says so, in fake-engine.test.ts.)
 */
const lab = useLab({ name: 'unprotected' })

interface Report {
  readonly unprotected: readonly {
    readonly reason: string
    readonly subject: string
    readonly advice: string
  }[]
}

async function reported(): Promise<readonly string[]> {
  const report: Report = JSON.parse((await lab().cli(['status', '--json'])).stdout)
  for (const { advice } of report.unprotected) expect(advice).not.toBe('')
  return report.unprotected.map(({ reason, subject }) => `${reason} ${subject}`.trim()).toSorted()
}

const isReported = (wanted: readonly string[], timeoutMs?: number) =>
  lab().waitFor(
    `${wanted.join(', ')}: reported`,
    async () => (await reported()).join() === [...wanted].toSorted().join(),
    timeoutMs,
  )

async function counted(reasons: readonly string[]): Promise<Readonly<Record<string, number>>> {
  const page = await scrape(lab())
  return Object.fromEntries(reasons.map((reason) => [reason, page.value('unprotected', { reason }) ?? 0]))
}

test('a host as it comes has one hole: names', async () => {
  await guard(lab(), { config: 'allow: []' })
  await inside(lab(), { labels: { 'com.example.note': 'an ordinary container' } })
  await isReported(['dns-tunnel'])
  expect(await counted(['dns-tunnel', 'smtp-any', 'privileged', 'host-network'])).toEqual({
    'dns-tunnel': 1,
    'smtp-any': 0,
    privileged: 0,
    'host-network': 0,
  })
})

test('mail to anyone is said from the reload that allows it to the one that ends it', async () => {
  const daemon = await guard(lab(), { config: 'smtp: { destinations: any }' })
  await isReported(['dns-tunnel', 'smtp-any'])
  await daemon.hup('smtp: { destinations: allowed }')
  await isReported(['dns-tunnel'])
  await daemon.hup(
    'policies: { mailer: { match: { container: mailer }, smtp: { rate: 5/minute, destinations: any } } }',
  )
  await isReported(['dns-tunnel', 'smtp-any mailer'])
})

test('containers that the firewall does not hold are named while they run', async () => {
  await guard(lab(), { config: 'allow: []' })
  const socket = lab().engine.socket
  const reasons = ['host-network', 'netadmin-on-host', 'docker-socket-mounted', 'published-inbound']
  const containers = [
    await lab().container({ name: 'on-host', network: 'host' }),
    await lab().container({ name: 'admin-on-host', network: 'host', caps: ['NET_ADMIN'] }),
    await lab().container({ name: 'manager', binds: [`${socket}:/var/run/docker.sock:ro`] }),
    await lab().container({ name: 'directory', binds: [`${lab().directory}:/lab`] }),
    await lab().container({ name: 'web', publish: { 80: 8080 } }),
    await lab().container({ name: 'local-web', caps: ['NET_ADMIN'] }),
  ]
  const guest = await lab().container({ name: 'guest', network: `container:${containers[0]?.id}` })
  await isReported([
    'dns-tunnel',
    'host-network on-host',
    'host-network admin-on-host',
    'host-network guest',
    'netadmin-on-host admin-on-host',
    'docker-socket-mounted manager',
    'docker-socket-mounted directory',
    'published-inbound web',
  ])
  await lab().waitFor(
    'the metric counts them',
    async () => Object.values(await counted(reasons)).join() === '3,1,2,1',
  )
  const { stdout } = await lab().cli(['status'])
  for (const reason of reasons) expect(stdout).toContain(reason)
  for (const container of [guest, ...containers]) await container.stop()
  await isReported(['dns-tunnel'])
  expect(Object.values(await counted(reasons))).toEqual([0, 0, 0, 0])
})

test.each(['macvlan', 'ipvlan'])('a network past the host: %s', async (driver) => {
  await guard(lab(), { config: 'allow: []' })
  const network = await lab().network(`lan-${driver}`, { driver, options: { parent: 'eth0' } })
  await isReported(['dns-tunnel', `${driver} lan-${driver}`])
  expect(await counted([driver])).toEqual({ [driver]: 1 })
  await network.remove()
  await isReported(['dns-tunnel'])
})

test('a guarded bridge with a way out of its own', async () => {
  await lab().network('shop', { bridge: 'shop0' })
  await inside(lab(), { network: 'shop' })
  await guard(lab(), { config: 'allow: []' })
  await isReported(['dns-tunnel'])
  await lab().host(['ip', 'link', 'add', 'way0', 'type', 'veth', 'peer', 'name', 'way1'])
  onTestFinished(async () => {
    await lab().host(['ip', 'link', 'delete', 'way0'])
  })
  await lab().host(['ip', 'link', 'set', 'way0', 'master', 'shop0', 'up'])
  await isReported(['dns-tunnel', 'bridge-uplink shop0'], 20_000)
  expect(await counted(['bridge-uplink'])).toEqual({ 'bridge-uplink': 1 })
  await lab().host(['ip', 'link', 'set', 'way0', 'nomaster'])
  await isReported(['dns-tunnel'], 20_000)
})

test('without the daemon, status says it of what the engine and the kernel tell', async () => {
  await lab().embargod.writeConfig('smtp: { destinations: any }')
  await inside(lab(), { name: 'on-host', network: 'host' })
  const { code, stdout } = await lab().cli(['status', '--config', lab().embargod.configFile])
  expect(code).toBe(5)
  expect(stdout).toContain('host-network')
  expect(stdout).toContain('on-host')
})
