import { beforeAll, afterAll, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { ALLOWS, holds, isOpen, isWhole, named } from './host-kinds.ts'
import { steadyFlood } from './leaks.ts'
import { NftablesEngine } from './nftables-engine.ts'
import { origin, reached } from './reach.ts'
import { rulesOf } from './rules.ts'
import { guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { HOST } from './topology.ts'

/** An engine that keeps its rules in nftables has no chain DOCKER-USER. Its containers are guarded by our jump in FORWARD. */
const lab = useLab({ name: 'nftables', ipv6: false, dockerdFlags: NftablesEngine.flags })
let engine: NftablesEngine
let shop: LabContainer

beforeAll(async () => {
  engine = await NftablesEngine.beside(lab())
  await lab().network('shop', { ipv6: true, bridge: 'shop0' })
  shop = await lab().container({ network: 'shop', publish: { 80: 8080 } })
  await engine.writeTables()
})
afterAll(() => engine.stop())

const config = () => `docker: { socket: ${engine.socket} }\n${ALLOWS}`
const published = async (): Promise<string> =>
  (
    await lab().internet(['curl', '-sg', '--max-time', '3', `http://${HOST.address}:8080/`], {
      okExitCodes: [7, 28, 52, 56],
    })
  ).stdout

test('it is ready and healthy, and nothing but what is allowed gets out', async () => {
  await shop.exec([
    'sh',
    '-c',
    'mkdir -p /tmp/www && echo served >/tmp/www/index.html && busybox httpd -p 80 -h /tmp/www',
  ])
  await isOpen(lab(), shop)
  expect(await published()).toContain('served')
  const daemon = await guard(lab(), { config: config() })
  for (const family of [4, 6] as const)
    expect((await rulesOf(lab(), family, 'FORWARD'))[0], `IPv${family}`).toMatch(/-j EMBARGOD$/)
  await isWhole(lab())
  expect(await named(lab(), daemon)).toEqual([`published-inbound ${shop.name}`])
  const ready = await lab().host([
    'curl',
    '-sS',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    'http://127.0.0.1:9464/readyz',
  ])
  expect(ready.stdout).toBe('200')
  expect((await scrape(lab())).value('unprotected', { reason: 'engine-backend' })).toBe(0)
  await holds(lab(), shop)
  expect(await published()).toContain('served')
  expect(await lab().cli(['verify'])).toMatchObject({ code: 0 })
})

test('while networks come and go, and the engine makes its tables anew, nothing gets out', async () => {
  const daemon = await guard(lab(), { config: config() })
  await holds(lab(), shop, [4, 6], async () => {
    for (const name of ['one', 'two']) {
      const network = await lab().network(name, { ipv6: true })
      await engine.writeTables()
      const other = await lab().container({ network: name })
      await engine.writeTables()
      const flood = await steadyFlood(lab(), other)
      await lab().waitFor(
        'it reaches what is allowed',
        async () => (await reached(other, [origin('203.0.113.12')], { seconds: 1 })).length === 1,
      )
      expect(await flood.stop()).toBe(0)
      await other.stop()
      await network.remove()
      await engine.writeTables()
    }
  })
  await isWhole(lab())
  expect(await named(lab(), daemon)).toEqual([`published-inbound ${shop.name}`])
  expect(await lab().cli(['verify'])).toMatchObject({ code: 0 })
  expect(await published()).toContain('served')
})

test('as long as nobody has proven it, it is named, and not told to be ready', async () => {
  const daemon = await guard(lab(), { config: `${config()}\nverify: { every: never }`, wait: false })
  await lab().waitFor('both guards stand', async () => {
    const { stdout } = await lab().cli(['status'])
    return /^rules +yes/m.test(stdout) && /^backstop +yes/m.test(stdout)
  })
  expect((await lab().cli(['status'])).stdout).toMatch(/engine-backend.*nftables.*embargod verify/)
  expect((await lab().cli(['status'])).code).toBe(4)
  expect(await lab().cli(['verify'])).toMatchObject({ code: 0 })
  await daemon.ready()
})
