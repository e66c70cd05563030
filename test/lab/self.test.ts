import { describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Lab, NetworkOptions } from './lab.ts'
import { arrivedKinds, flood, sendOdd } from './packets.ts'
import { insertRules, rulesOf } from './rules.ts'
import { useLab } from './shared-lab.ts'
import { HOST, INET } from './topology.ts'
import { fetchPage, LiveConnection } from './web.ts'

/** The lab without the program: what the guards must stop does get out here. */
const lab = useLab({ name: 'self' })

async function withContainer<T>(
  host: Lab,
  network: string,
  task: (c: LabContainer) => Promise<T>,
): Promise<T> {
  const container = await host.container({ network })
  try {
    return await task(container)
  } finally {
    await container.stop()
  }
}

const NETWORKS: readonly (readonly [string, NetworkOptions | undefined])[] = [
  ['bridge', undefined],
  ['shop', { ipv6: true }],
  ['tailored', { ipv6: true, bridge: 'my-bridge.7' }],
]

const FLOODS = [
  ['203.0.113.66', 'syn'],
  ['2001:db8:f::66', 'udp'],
] as const

describe.each(NETWORKS)('from network %s, unguarded', (network, options) => {
  test('a page by name, metadata, every odd packet, and a flood counted to the last packet', async () => {
    if (options) await lab().network(network, options)
    await withContainer(lab(), network, async (container) => {
      const v4 = await fetchPage(container, 'http://allowed.example/', { family: 4 })
      expect(v4).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('hello from 203.0.113.10 port 80'),
      })
      const v6 = await fetchPage(container, 'http://allowed.example/', { family: 6 })
      expect(v6).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('hello from 2001:db8:f::10 port 80'),
      })
      const metadata = await fetchPage(container, `http://${INET.metadata}/latest/`)
      expect(metadata.stdout).toContain(`hello from ${INET.metadata} port 80 to ${HOST.address}`)
      const metadata6 = await fetchPage(container, `http://[${INET.metadata6}]/latest/`, { family: 6 })
      expect(metadata6.stdout).toContain(`hello from ${INET.metadata6} port 80`)

      await lab().farEnd.reset()
      const odd = await sendOdd(container)
      const kinds = odd.map(({ kind }) => kind)
      expect(kinds.length).toBeGreaterThan(40)
      expect(await arrivedKinds(odd, lab().farEnd)).toEqual(kinds)

      for (const [dst, proto] of FLOODS) {
        const sent = await flood(container, { dst, proto, rate: 2000, seconds: 1 })
        expect(sent).toBe(2000)
        expect(await lab().farEnd.count(dst)).toBe(sent)
        expect(await lab().farEnd.count(dst, { proto: proto === 'syn' ? 'tcp' : 'udp', port: 9999 })).toBe(
          sent,
        )
      }
    })
  })
})

test("a rule of an operator's own in DOCKER-USER stops what it names, and nothing else", async () => {
  await insertRules(lab(), 4, 'DOCKER-USER', ['-d 203.0.113.66 -j DROP', '-d 203.0.113.67 -j RETURN'])
  expect((await rulesOf(lab(), 4, 'DOCKER-USER')).slice(0, 2)).toEqual([
    '-A DOCKER-USER -d 203.0.113.66/32 -j DROP',
    '-A DOCKER-USER -d 203.0.113.67/32 -j RETURN',
  ])
  await withContainer(lab(), 'bridge', async (container) => {
    await lab().farEnd.reset()
    await flood(container, { dst: '203.0.113.66', proto: 'udp', rate: 200, seconds: 1 })
    await flood(container, { dst: '203.0.113.67', proto: 'udp', rate: 200, seconds: 1 })
    expect(await lab().farEnd.count('203.0.113.66')).toBe(0)
    expect(await lab().farEnd.count('203.0.113.67')).toBe(200)
    expect(await lab().farEnd.sources('203.0.113.67')).toEqual([HOST.address])
  })
  await lab().host(['iptables', '-F', 'DOCKER-USER'])
})

describe('the DNS server', () => {
  const ask = async (container: LabContainer, name: string, ...more: string[]) =>
    (await container.exec(['dig', '+tries=1', '+time=1', ...more, `@${INET.dns}`, name])).stdout

  test('answers as told', async () => {
    await lab().inet.dns({
      'changing.example': { a: ['203.0.113.30'], ttl: 7 },
      'broken.example': { rcode: 'SERVFAIL' },
      'silent.example': { silent: true },
      'big.example': { a: ['203.0.113.31'], truncate: true },
      'slow.example': { a: ['203.0.113.32'], delayMs: 300 },
      'raw.example': { raw: '0000818500000000000000000000' },
      'loop.example': { cname: 'loop.example' },
      '*.wild.example': { a: ['203.0.113.33'] },
    })
    await withContainer(lab(), 'bridge', async (container) => {
      expect(await ask(container, 'changing.example')).toMatch(
        /changing\.example\.\s+7\s+IN\s+A\s+203\.0\.113\.30/,
      )
      expect(await ask(container, 'cdn.example')).toMatch(
        /CNAME\s+edge\.cdn\.example\.\n[^]*A\s+203\.0\.113\.20\n/,
      )
      expect(await ask(container, 'broken.example')).toContain('status: SERVFAIL')
      expect(await ask(container, 'nobody.example')).toContain('status: NXDOMAIN')
      expect(await ask(container, 'silent.example')).toMatch(/timed out|no servers could be reached/)
      expect(await ask(container, 'big.example')).toMatch(/A\s+203\.0\.113\.31[^]*\(TCP\)/)
      const slow = await ask(container, 'slow.example')
      expect(slow).toMatch(/A\s+203\.0\.113\.32/)
      expect(Number(/Query time: (\d+) msec/.exec(slow)?.[1])).toBeGreaterThan(250)
      expect(await ask(container, 'raw.example')).toContain('status: REFUSED')
      expect(await ask(container, 'loop.example')).toContain('CNAME\tloop.example.')
      expect(await ask(container, 'a.b.wild.example')).toContain('203.0.113.33')
      await lab().inet.dns({ 'changing.example': { a: ['203.0.113.34'] } })
      expect(await ask(container, 'changing.example')).toContain('203.0.113.34')
      expect(await lab().inet.queries('changing.example')).toHaveLength(2)
      expect(await ask(container, 'allowed.example', '-b', '0.0.0.0')).toContain('203.0.113.10')
    })
  })

  test('can be dead', async () => {
    await withContainer(lab(), 'bridge', async (container) => {
      await lab().inet.stopDns()
      expect(await ask(container, 'allowed.example')).toMatch(/timed out|no servers could be reached/)
      await lab().inet.startDns()
      expect(await ask(container, 'allowed.example')).toContain('203.0.113.10')
    })
  })
})

test('the mail server says who came', async () => {
  await withContainer(lab(), 'bridge', async (container) => {
    await lab().inet.forget()
    const mail = await container.exec(['sh', '-c', 'echo QUIT | nc -w 2 203.0.113.25 587'])
    expect(mail.stdout).toMatch(/^220 .*\r\n221 bye/)
    expect(await lab().inet.visits(587)).toMatchObject([{ to: '203.0.113.25', from: HOST.address }])
  })
})

test('the engine restarts and crashes, and with live-restore its containers stay', async () => {
  await lab().restartEngine(['--live-restore'])
  const container = await lab().container()
  await lab().killEngine()
  await lab().engine.start(['--live-restore'])
  expect(await fetchPage(container, 'http://allowed.example/', { family: 4 })).toMatchObject({ code: 0 })
  const pid = await container.pid()
  await lab().restartEngine(['--live-restore'])
  expect(await container.pid()).toBe(pid)
  expect(await fetchPage(container, 'http://allowed.example/', { family: 4 })).toMatchObject({ code: 0 })
  await container.stop()
})

test('a live connection flows until it is cut', async () => {
  await withContainer(lab(), 'bridge', async (container) => {
    const live = await LiveConnection.open(container, 'http://203.0.113.10:443')
    expect(await live.flows()).toBe(true)
    await insertRules(lab(), 4, 'DOCKER-USER', ['-d 203.0.113.10 -j DROP', '-s 203.0.113.10 -j DROP'])
    expect(await live.flows()).toBe(false)
    await lab().host(['iptables', '-F', 'DOCKER-USER'])
  })
})

test('the host has its own files and its own view of the engine', async () => {
  const links = (await lab().host(['ls', '/sys/class/net'])).stdout.split(/\s+/)
  expect(links).toEqual(expect.arrayContaining(['docker0', HOST.uplink, 'my-bridge.7']))
  expect(links).not.toContain('ifb0')
  await lab().writeHostFile('/etc/lab-was-here', 'yes')
  expect((await lab().host(['cat', '/etc/lab-was-here'])).stdout).toBe('yes')
  expect((await lab().host(['docker', 'version', '--format', '{{.Server.Version}}'])).stdout).toMatch(
    new RegExp(`^${lab().engineVersion.replace('.', '\\.')}\\.`),
  )
  expect((await lab().host(['curl', '-4sS', 'http://allowed.example/'])).stdout).toContain(
    `to ${HOST.address}`,
  )
})

test('a service in the host gets signals', async () => {
  const service = lab().service('host', [
    'sh',
    '-c',
    'trap "echo hup" HUP; trap "exit 7" TERM; echo up; while :; do sleep 0.05; done',
  ])
  await lab().waitFor('the service is up', () => service.log.includes('up'))
  service.signal('SIGHUP')
  await lab().waitFor('the signal arrives', () => service.log.includes('hup'))
  expect(await service.stop()).toBe(7)
})
