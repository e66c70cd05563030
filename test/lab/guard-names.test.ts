import { expect, test } from 'vitest'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** A misspelt name in the config: a list of networks to guard that names none never opens the host, and whoever asks is told. */
const lab = useLab({ name: 'guard-names' })

const config = (...networks: string[]): string =>
  `guard: { networks: [${networks.join()}] }\nallow: [203.0.113.10]\n`
const own = (): string => lab().embargod.configFile
const cli = (...argv: string[]) => lab().cli(argv, { timeoutMs: 60_000 })
const guardedNetworks = async (): Promise<number> =>
  (await scrape(lab())).value('networks', { guarded: 'true' }) ?? 0
const MEANT = 'no network shoop; did you mean shop?'

test('is refused by check and reload, and what was in force goes on', async () => {
  await lab().network('shop')
  const shop = await inside(lab(), { network: 'shop' })
  const reaches = async (address: string) => (await fetchPage(shop, `http://${address}/`)).code === 0
  const daemon = await guard(lab(), { config: config('shop') })
  expect([await reaches('203.0.113.10'), await reaches('203.0.113.66')]).toEqual([true, false])

  await lab().embargod.writeConfig(config('shoop'))
  for (const command of [['check', '--config', own()], ['reload']])
    expect(await cli(...command)).toMatchObject({ code: 2, stdout: expect.stringContaining(MEANT) })
  await daemon.hup()
  await lab().waitFor('it is degraded', async () => (await cli('status')).code === 4, 20_000)
  expect([await reaches('203.0.113.10'), await reaches('203.0.113.66')]).toEqual([true, false])
  const { stdout } = await lab().host(['curl', '-sS', 'http://127.0.0.1:9464/readyz'])
  expect(JSON.parse(stdout)).toMatchObject({ ready: false })

  // One of two that is misspelt is told, and one that names nothing at all is a note.
  await lab().embargod.writeConfig(
    `${config('shop')}policies: { web: { match: { container: webb }, allow: [] } }\n`,
  )
  expect(await cli('reload')).toMatchObject({ code: 0 })
  const status = await cli('status')
  expect(status).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/NOTES\n- policies\.web.*no container webb/),
  })
})

test('at a start keeps everything closed, says so, and is no fault any more when the network comes', async () => {
  const shop = await inside(lab(), { network: 'shop' })
  const reaches = async (address: string) => (await fetchPage(shop, `http://${address}/`)).code === 0
  const daemon = await guard(lab(), { config: config('shoop'), wait: false })
  await lab().waitFor('it is degraded', async () => (await cli('status')).code === 4, 30_000)
  expect(await cli('status')).toMatchObject({
    stdout: expect.stringMatching(
      /^degraded: guard\.networks names no network that is there \(no network shoop; did you mean shop\?\)/,
    ),
  })
  expect(await reaches('203.0.113.66')).toBe(false)
  // The proof goes on, so an alert on its series cannot fall silent.
  expect(await cli('verify', '--config', own())).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('network shop'),
  })
  expect(await guardedNetworks()).toBeGreaterThan(1)
  expect((await scrape(lab())).value('proof_success', { network: 'shop' })).toBe(1)

  const late = await lab().network('shoop')
  await lab().waitFor('healthy', async () => (await cli('status')).code === 0, 30_000)
  expect(await reaches('203.0.113.66')).toBe(true)
  // That it goes again is no misspelling.
  await late.remove()
  await lab().waitFor('a pass', async () => !(await cli('status')).stdout.includes('shoop '), 20_000)
  expect((await cli('status')).code).toBe(0)
  await daemon.term()
})
