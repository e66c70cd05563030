import { setTimeout as sleep } from 'node:timers/promises'
import { flood } from '../packets.ts'
import { rulesOf } from '../rules.ts'
import { LiveConnection } from '../web.ts'
import { arrived, count, request, say } from './requests.ts'
import { type Scene, STRANGER } from './scene.ts'

/** What changes under a running daemon: answers, the config, and the rules by somebody else's hand. */
export async function changes(scene: Scene): Promise<void> {
  await movedName(scene)
  await reloads(scene)
  await flushed(scene)
}

async function movedName({ lab, screen, shop }: Scene): Promise<void> {
  const [first, second] = ['203.0.113.31', '203.0.113.32']
  screen.heading(`mirror.example.net moves from ${first} to ${second}`)
  let download: LiveConnection | undefined
  let movedMs = 0
  await screen.step('shop_api begins a download from the first', async () => {
    download = await LiveConnection.open(shop, 'http://mirror.example.net')
    return { ok: true, back: 'data flows' }
  })
  await screen.step('the answer changes; until the second is open', async () => {
    await lab.inet.dns({ 'mirror.example.net': { a: [second], ttl: 1 } })
    movedMs = performance.now()
    let last = ''
    await lab.waitFor('the new address is open', async () => {
      const reply = await request(shop, `http://${second}/`, { seconds: 0.3 })
      last = say(reply)
      return reply.code === 0
    })
    return { ok: true, back: last, tookMs: performance.now() - movedMs }
  })
  await screen.step('until the first is closed to new connections', async () => {
    // On the port that the download does not use.
    const packets = () => lab.farEnd.count(first, { proto: 'tcp', port: 443 })
    let got = 0
    await lab.waitFor('the old address is closed', async () => {
      const before = await packets()
      const reply = await request(shop, `http://${first}:443/`, { seconds: 0.5 })
      got = (await packets()) - before
      return reply.code === 28 && got === 0
    })
    return {
      ok: true,
      back: `no answer; ${count(got, 'packet')} got out`,
      tookMs: performance.now() - movedMs,
    }
  })
  await screen.step('the download that has begun', async () => {
    const flows = (await download?.flows()) === true
    return { ok: flows, back: flows ? 'goes on: expiry cuts nobody' : 'was cut' }
  })
}

async function reloads({ host, lab, screen, shop }: Scene): Promise<void> {
  const address = '203.0.113.40'
  screen.heading('Reload: partner.example comes and goes')
  let live: LiveConnection | undefined
  await screen.step('add it, reload, until shop_api reaches it', async () => {
    await host.allow('partner', 'partner.example')
    const beganMs = performance.now()
    const { exitCode } = await host.embargod('reload')
    let last = ''
    await lab.waitFor('partner.example answers', async () => {
      const reply = await request(shop, 'http://partner.example/', { seconds: 0.3 })
      last = say(reply)
      return reply.code === 0
    })
    const tookMs = performance.now() - beganMs
    live = await LiveConnection.open(shop, 'http://partner.example')
    return { ok: exitCode === 0, back: `${last}; data flows`, tookMs }
  })
  await screen.step('take it away, reload; what becomes of the flow?', async () => {
    const flowed = (await live?.flows()) === true
    await host.disallow('partner')
    const beganMs = performance.now()
    const { exitCode } = await host.embargod('reload')
    const tookMs = performance.now() - beganMs
    const before = await arrived(lab, [address])
    // What the far end had in its window may still come in; without acknowledgements it dries up.
    await lab.waitFor('the flow dries up', async () => (await live?.flows(1000)) === false)
    const packets = (await arrived(lab, [address])) - before
    return {
      ok: exitCode === 0 && flowed && packets === 0,
      back: `it is cut; ${count(packets, 'packet')} got out since`,
      tookMs,
    }
  })
}

/** The jump alone is lost: the second guard holds until it is back. */
async function flushed({ lab, screen, shop }: Scene): Promise<void> {
  screen.heading('Somebody runs `iptables -F DOCKER-USER` while shop_api floods a stranger')
  let sent = 0
  let packets = 0
  await screen.step('until our jump stands in DOCKER-USER again', async () => {
    const before = await arrived(lab, [STRANGER])
    let over = false
    const floods = Promise.all(
      (['udp', 'syn'] as const).map((proto) => flood(shop, { dst: STRANGER, proto, rate: 1000, seconds: 4 })),
    ).finally(() => (over = true))
    // The sender has to be under way when it happens.
    await sleep(1000)
    await lab.host(['iptables', '-F', 'DOCKER-USER'])
    const beganMs = performance.now()
    await lab.waitFor('the jump is back', async () => {
      const [rule = ''] = await rulesOf(lab, 4, 'DOCKER-USER')
      return rule.includes('-j EMBARGOD')
    })
    const tookMs = performance.now() - beganMs
    if (over) throw new Error('the flood was over before the rules were back')
    sent = (await floods).reduce((sum, each) => sum + each, 0)
    packets = (await arrived(lab, [STRANGER])) - before
    return { ok: tookMs < 5000, back: 'put back', tookMs }
  })
  await screen.step('the flood meanwhile', () =>
    Promise.resolve({
      ok: sent >= 8000 && packets === 0,
      back: `${count(sent, 'packet')} sent, ${packets.toLocaleString('en')} got out`,
    }),
  )
}
