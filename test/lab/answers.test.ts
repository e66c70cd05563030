import { setTimeout as sleep } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { DnsScript } from './dns-script.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { fetchPage } from './web.ts'

/** What DNS says becomes what containers reach, and what it fails to say takes nothing away. */
const lab = useLab({ name: 'answers' })

const QUICK = 'resolver: { timeout: 1s, refresh: { min: 1s, max: 1s }, retain: 1s }'
const policy = (...entries: string[]) =>
  [QUICK, 'allow:', ...entries.map((entry) => `  - ${entry}`)].join('\n')

beforeEach(() => lab().inet.resetDns())

const reaches = async (from: LabContainer, address: string): Promise<boolean> =>
  (await fetchPage(from, `http://${address}/`, { timeoutMs: 1000 })).code === 0

test('a changed answer opens at once, and the old one closes after its time', async () => {
  const from = await inside(lab())
  await lab().inet.dns({ 'moving.example': { a: ['203.0.113.71'], ttl: 1 } })
  await guard(lab(), { config: policy('moving.example') })
  await lab().waitFor('the first address is open', () => reaches(from, '203.0.113.71'))
  await lab().inet.dns({ 'moving.example': { a: ['203.0.113.72'], ttl: 1 } })
  await lab().waitFor('the second one is', () => reaches(from, '203.0.113.72'), 6000)
  await lab().waitFor('the first is closed', async () => !(await reaches(from, '203.0.113.71')), 15_000)
  expect(await reaches(from, '203.0.113.72')).toBe(true)
})

test('the name servers of the host change under the daemon, and it goes along', async () => {
  const servers = (address: string) =>
    lab().writeHostFile('/etc/resolv.conf', `nameserver ${address}\noptions timeout:1 attempts:2\n`)
  const stale = async () => (await scrape(lab())).value('names', { state: 'stale' })
  const from = await inside(lab())
  try {
    await lab().inet.dns({ 'leased.example': { a: ['203.0.113.75'], ttl: 1 } })
    await guard(lab(), {
      config: `dns: { gateway: true }\n${policy('leased.example', '"**.below.example"')}`,
    })
    await lab().waitFor('it is open', () => reaches(from, '203.0.113.75'))
    // Nobody lives there.
    await servers('203.0.113.249')
    await lab().waitFor('nobody answers', async () => (await stale()) === 1, 30_000)
    const status = async (): Promise<string> => (await lab().cli(['status'])).stdout
    await lab().waitFor('the gateway asks there too', async () => /203\.0\.113\.249/.test(await status()))
    // Whoever reads it while it is written finds this.
    await servers('')
    await lab().inet.dns({
      'leased.example': { a: ['203.0.113.76'], ttl: 1 },
      'asked.below.example': { a: ['203.0.113.77'], ttl: 1 },
    })
    await servers(INET.dns)
    await lab().waitFor('what the next one says is open', () => reaches(from, '203.0.113.76'), 15_000)
    const asked = async () => (await fetchPage(from, 'http://asked.below.example/')).code === 0
    await lab().waitFor('containers ask there too', asked, 10_000)
  } finally {
    await servers(INET.dns)
  }
})

describe('a look-up that fails keeps the last good addresses', () => {
  const FAILURES: readonly (readonly [string, DnsScript | null])[] = [
    ['NXDOMAIN', null],
    ['SERVFAIL', { rcode: 'SERVFAIL' }],
    ['silence', { silent: true }],
    ['an empty answer', {}],
    ['a CNAME and nothing else', { cname: 'nowhere.example' }],
  ]
  test.each(FAILURES)('%s', async (_, script) => {
    const from = await inside(lab())
    await lab().inet.dns({ 'failing.example': { a: ['203.0.113.73'], ttl: 1 } })
    await guard(lab(), { config: policy('failing.example') })
    await lab().waitFor('it is open', () => reaches(from, '203.0.113.73'))
    await lab().inet.dns({ 'failing.example': script })
    await lab().waitFor(
      'it is stale, and for how long is told',
      async () => ((await scrape(lab())).value('name_stale_seconds', { domain: 'failing.example' }) ?? 0) > 4,
      30_000,
    )
    expect((await scrape(lab())).value('names', { state: 'stale' })).toBe(1)
    expect((await lab().cli(['status'])).stdout).toMatch(/failing\.example[^\n]*stale/)
    expect(await reaches(from, '203.0.113.73')).toBe(true)
    await lab().inet.dns({ 'failing.example': { a: ['203.0.113.74'], ttl: 1 } })
    await lab().waitFor('a good answer heals', () => reaches(from, '203.0.113.74'))
    await lab().waitFor('the old address goes', async () => !(await reaches(from, '203.0.113.73')), 15_000)
    await lab().waitFor(
      'it is stale no more',
      async () => (await scrape(lab())).value('name_stale_seconds') === undefined,
    )
  })
})

describe('a family that DNS withdraws closes, the other one goes on, and the name is fresh', () => {
  test.each([
    ['polled', false, false],
    ['asked by containers', true, false],
    ['over a restart', false, true],
  ])('%s', async (_, gateway, restarts) => {
    const network = `both-${gateway}-${restarts}`
    await lab().network(network, { ipv6: true })
    const from = await inside(lab(), { network })
    await lab().inet.dns({ 'both.example': { a: ['203.0.113.78'], aaaa: ['2001:db8:f::78'], ttl: 1 } })
    const config = `dns: { gateway: ${gateway} }\n${policy('both.example')}`
    const daemon = await guard(lab(), { config })
    const six = '[2001:db8:f::78]'
    await lab().waitFor('both are open', async () =>
      (await Promise.all([reaches(from, '203.0.113.78'), reaches(from, six)])).every(Boolean),
    )
    const page = (family: 4 | 6) => fetchPage(from, 'http://both.example/', { family, timeoutMs: 2000 })
    if (gateway) expect((await page(4)).code).toBe(0)
    await lab().inet.dns({ 'both.example': { aaaa: ['2001:db8:f::78'], ttl: 1 } })
    if (restarts) {
      await daemon.term()
      await guard(lab(), { config })
    }
    await lab().waitFor('IPv4 is closed', async () => !(await reaches(from, '203.0.113.78')), 20_000)
    expect(await reaches(from, six)).toBe(true)
    if (gateway) expect([(await page(4)).code, (await page(6)).code]).toEqual([6, 0])
    const metrics = await scrape(lab())
    expect([metrics.value('names', { state: 'fresh' }), metrics.value('names', { state: 'stale' })]).toEqual([
      1, 0,
    ])
    // That IPv6 goes as well is no answer: it stays.
    await lab().inet.dns({ 'both.example': {} })
    await lab().waitFor(
      'it is stale',
      async () => (await scrape(lab())).value('names', { state: 'stale' }) === 1,
    )
    await sleep(5000)
    expect(await reaches(from, six)).toBe(true)
  })
})

test('more than a thousand addresses come by TCP', async () => {
  const from = await inside(lab())
  const many = Array.from({ length: 1010 }, (_, n) => `198.18.${40 + (n >> 8)}.${n & 255}`)
  await lab().inet.dns({ 'many.example': { a: many, ttl: 60, truncate: true } })
  await guard(lab(), {
    config: `${QUICK.replace('retain', 'maxAddressesPerName: 2000, retain')}\nallow: [many.example]`,
  })
  await lab().waitFor(
    'all are held',
    async () => ((await scrape(lab())).value('addresses', { family: 'ipv4' }) ?? 0) === 1010,
  )
  for (const address of [many[0], many[505], many.at(-1)])
    expect(await reaches(from, address ?? '')).toBe(true)
  expect(await reaches(from, '198.18.50.1')).toBe(false)
})

test('a private answer is refused, also when it takes turns with a public one', async () => {
  const from = await inside(lab())
  await lab().inet.dns({ 'turning.example': { a: ['203.0.113.75'], ttl: 1 } })
  await guard(lab(), { config: policy('turning.example') })
  await lab().waitFor('the public address is open', () => reaches(from, '203.0.113.75'))
  await lab().inet.dns({ 'turning.example': { a: ['10.9.9.9'], ttl: 1 } })
  await sleep(4000)
  await lab().farEnd.reset()
  expect((await fetchPage(from, 'http://10.9.9.9/', { timeoutMs: 1000 })).code).not.toBe(0)
  expect(await lab().farEnd.count('10.9.9.9')).toBe(0)
  await lab().inet.dns({ 'turning.example': { a: ['203.0.113.75'], ttl: 1 } })
  await lab().waitFor('the public address is open again', () => reaches(from, '203.0.113.75'))
})

test('of two names on one address one may go', async () => {
  const from = await inside(lab())
  await lab().inet.dns({ 'one.example': { a: ['203.0.113.76'] }, 'two.example': { a: ['203.0.113.76'] } })
  await guard(lab(), { config: policy('one.example', 'two.example') })
  await lab().waitFor('it is open', () => reaches(from, '203.0.113.76'))
  await lab().embargod.writeConfig(policy('two.example'))
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  expect(await reaches(from, '203.0.113.76')).toBe(true)
  await lab().embargod.writeConfig(policy('api.example'))
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  expect(await reaches(from, '203.0.113.76')).toBe(false)
})
