import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { programArgv } from './embargod.ts'
import { engineBinaries } from './engines.ts'
import { statusOf } from './host-kinds.ts'
import { importImage } from './image.ts'
import type { Lab } from './lab.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'

/** Engines that ask for their containers from the host's own network, past the gateway: that is told, and `setup-dns` mends it. */

const CONFIG = 'dns: { gateway: true }\ndenyWith: reject\nallow: [allowed.example]'
const DENIED = 'secret.forbidden.example'
const STUB = '127.0.0.53'
const DAEMON_JSON = '/etc/docker/daemon.json'
const LINE = '"dns": ["172.17.0.1"]'

/** Does a question for what nobody allowed leave the host? */
async function leaves(lab: Lab, from: LabContainer): Promise<boolean> {
  await lab.inet.forget()
  await from.exec(['dig', '+tries=1', '+time=2', DENIED])
  return (await lab.inet.queries()).some(({ name }) => name.toLowerCase() === DENIED)
}

const tunnels = async (lab: Lab) =>
  (await statusOf(lab)).unprotected.filter(({ reason }) => reason === 'dns-tunnel')
const named = async (lab: Lab): Promise<string> =>
  (await tunnels(lab))
    .map(({ subject }) => subject)
    .toSorted()
    .join()

/** A host that asks a server of its own, as one with a local cache does. */
async function askOnHost(lab: Lab): Promise<void> {
  const own = ['-k', '-C', '/dev/null', '--pid-file=', '-z', '-R', '-a', STUB, '-S', INET.dns]
  lab.service('host', ['dnsmasq', ...own])
  await lab.writeHostFile('/etc/resolv.conf', `nameserver ${STUB}\noptions timeout:1 attempts:2\n`)
}

describe.each(['the outside', 'itself'] as const)('an engine on a host that asks %s', (asked) => {
  const lab = useLab({ name: 'gateway-asker', dns: 'host', startEngine: false })
  const flags: string[] = []
  const asksFromHost = () => flags.length === 0 && (asked === 'itself' || lab().engineVersion === '28.5')
  const start = async (): Promise<void> => {
    await lab().engine.start(flags)
    await importImage(lab().docker)
  }

  beforeAll(async () => {
    if (asked === 'itself') await askOnHost(lab())
    await start()
    for (const network of ['shop', 'own-dns', 'touched']) await lab().network(network)
    await lab().network('vault', { internal: true })
  })

  test.each(['nobody told', '--dns'])(
    'which %s: a question that gets past the gateway is told, and no other',
    async (how) => {
      if (how === '--dns') {
        flags.push('--dns', INET.dns)
        await lab().engine.stop()
        await start()
      }
      await guard(lab(), { config: CONFIG })
      const containers = new Map([
        ['bridge', await inside(lab())],
        ['shop', await inside(lab(), { network: 'shop' })],
        ['own-dns', await inside(lab(), { network: 'own-dns', dns: [INET.otherDns] })],
        ['vault', await inside(lab(), { network: 'vault' })],
        ['touched', await inside(lab(), { network: 'touched' })],
      ])
      // What it writes there about itself does not count.
      await containers
        .get('touched')
        ?.exec(['sh', '-c', 'echo "# ExtServers: [192.0.2.1]" > /etc/resolv.conf'])
      await containers.get('touched')?.exec(['sh', '-c', 'echo "nameserver 127.0.0.11" >> /etc/resolv.conf'])
      const past: string[] = []
      for (const [network, from] of containers) if (await leaves(lab(), from)) past.push(network)
      const vault = lab().engineVersion === '20.10' ? ['vault'] : []
      expect(past.toSorted()).toEqual(asksFromHost() ? ['shop', 'touched', ...vault] : [])
      await lab().waitFor('it is told', async () => (await named(lab())) === past.toSorted().join())
      for (const { advice } of await tunnels(lab())) expect(advice).toContain(LINE)
      expect((await scrape(lab())).value('unprotected', { reason: 'dns-tunnel' })).toBe(past.length)
    },
  )
})

describe('setup-dns', () => {
  const lab = useLab({ name: 'gateway-setup', dns: 'host', startEngine: false })
  const isLatest = () => lab().engineVersion === '28.5'

  beforeAll(async () => {
    // Where else an engine asks from the host.
    if (!isLatest()) await askOnHost(lab())
    await lab().engine.start()
    await importImage(lab().docker)
  })

  /** As an operator has it: with the engine's own programs on the path. */
  const setup = async (...args: string[]) => {
    const path = [await engineBinaries(lab().engineVersion), process.env['PATH']].filter(Boolean).join(':')
    const env = ['env', `PATH=${path}`] as const
    return lab().host([...env, ...programArgv(), 'setup-dns', ...args], {
      timeoutMs: 30_000,
      okExitCodes: [1, 64],
    })
  }
  const cat = async (path: string): Promise<string> => (await lab().host(['cat', path])).stdout

  test('leads the questions of an engine that asks from the host to the gateway', async () => {
    const before = '{\n    "dns": ["198.51.100.1"],\n    "log-level": "warn"\n}\n'
    const after = `{\n    ${LINE},\n    "log-level": "warn"\n}\n`
    await lab().network('shop')
    await guard(lab(), { config: CONFIG })
    const old = await inside(lab(), { network: 'shop' })
    await lab().waitFor('the tunnel is told', async () => (await named(lab())) === 'shop')
    expect(await leaves(lab(), old)).toBe(true)

    await lab().writeHostFile(DAEMON_JSON, before)
    await lab().host(['chmod', '640', DAEMON_JSON])
    await lab().host(['chown', '0:12', DAEMON_JSON])
    expect(await setup('--dry-run')).toMatchObject({ exitCode: 0, stdout: after })
    expect(await cat(DAEMON_JSON)).toBe(before)
    const done = await setup()
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    for (const word of [LINE, '["198.51.100.1"]', 'upstreams', 'systemctl restart docker'])
      expect(done.stdout).toContain(word)
    expect(await cat(DAEMON_JSON)).toBe(after)
    expect(await cat(`${DAEMON_JSON}.embargod-backup`)).toBe(before)
    for (const file of [DAEMON_JSON, `${DAEMON_JSON}.embargod-backup`])
      expect((await lab().host(['stat', '-c', '%a %u:%g', file])).stdout).toBe('640 0:12\n')
    const again = await setup()
    expect(again).toMatchObject({ exitCode: 0, stderr: '' })
    expect(again.stdout).toContain('already')
    // Until the engine has read it, nothing has changed.
    const late = await inside(lab(), { network: 'shop' })
    expect(await leaves(lab(), late)).toBe(true)
    // Before 26 an engine does not say from where it asks, so what it will do is taken for what it does.
    if (isLatest()) expect(await named(lab())).toBe('shop')

    await lab().restartEngine()
    const shop = await inside(lab(), { network: 'shop' })
    await lab().waitFor('nothing is told', async () => (await named(lab())) === '')
    expect((await scrape(lab())).value('unprotected', { reason: 'dns-tunnel' })).toBe(0)
    expect(await leaves(lab(), shop)).toBe(false)
    expect((await shop.exec(['dig', '+short', 'allowed.example'])).stdout).toBe('203.0.113.10\n')
    expect(await fetchPage(shop, 'http://allowed.example/', { family: 4 })).toMatchObject({ code: 0 })
    for (const server of [[], [`@${INET.dns}`]])
      expect((await shop.exec(['dig', '+tries=1', ...server, DENIED])).stdout).toMatch(
        /status: NXDOMAIN[^]*EDE: 15 \(Blocked\): \(embargod: not allowed by policy common\)/,
      )
    const metrics = await scrape(lab())
    expect(metrics.value('dns_queries_total', { outcome: 'denied', type: 'A' })).toBeGreaterThanOrEqual(2)
  })

  test('leaves the file as it is where it cannot, or the engine would refuse it', async () => {
    const refused = async (text: string, why: string, ...args: string[]): Promise<void> => {
      await lab().writeHostFile(DAEMON_JSON, text)
      const { exitCode, stdout, stderr } = await setup(...args)
      expect({ exitCode, stdout }, text).toEqual({ exitCode: 1, stdout: '' })
      expect(stderr).toContain(why)
      expect(await cat(DAEMON_JSON)).toBe(text)
      expect((await lab().host(['ls', '-A', dirname(DAEMON_JSON)])).stdout).not.toContain('.tmp')
    }
    await refused('{"dns": ', DAEMON_JSON)
    await refused('["dns"]', 'not an object')
    // Only later engines can be asked what they think of a file.
    if (isLatest()) await refused('{"no-such-option": true}', 'no-such-option')
    await lab().host(['rm', DAEMON_JSON])
    await lab().restartEngine(['--dns', INET.dns])
    await refused('{}', 'take the flag away')
    expect((await setup('--address', STUB)).exitCode).toBe(64)
    expect((await setup('--dry-run', '--restart')).exitCode).toBe(64)
  })

  test('needs no engine, takes another file, and follows its link', async () => {
    await lab().engine.stop()
    await lab().host(['rm', '-f', DAEMON_JSON, `${DAEMON_JSON}.embargod-backup`])
    await lab().host(['mkdir', '-p', '/etc/elsewhere'])
    const file = '/etc/elsewhere/real.json'
    await lab().writeHostFile(file, '{}')
    await lab().host(['ln', '-s', file, join('/etc/docker', 'linked.json')])
    expect((await setup('--file', '/etc/docker/linked.json', '--address', '172.30.0.1')).exitCode).toBe(0)
    expect(await cat(file)).toContain('"dns": ["172.30.0.1"]')
    expect((await lab().host(['readlink', '/etc/docker/linked.json'])).stdout.trim()).toBe(file)
    expect((await setup()).exitCode).toBe(0)
    expect(await cat(DAEMON_JSON)).toBe(`{\n  ${LINE}\n}\n`)
    expect((await lab().host(['ls', '/etc/docker'])).stdout).not.toContain('daemon.json.embargod-backup')
  })
})
