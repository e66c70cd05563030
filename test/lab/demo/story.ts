import type { LabContainer } from '../container.ts'
import { flood } from '../packets.ts'
import { changes } from './changes.ts'
import { gateway } from './gateway.ts'
import { policies } from './policies.ts'
import { arrived, count, isDenied, reaches, request, say } from './requests.ts'
import { type Scene, STRANGER, STRANGER6 } from './scene.ts'
import type { Outcome } from './screen.ts'

/** The whole story, in order. */
export async function tellStory(scene: Scene): Promise<void> {
  await before(scene)
  await start(scene)
  await verdicts(scene)
  await mail(scene)
  await newNetwork(scene)
  await changes(scene)
  await policies(scene)
  await gateway(scene)
}

/** What the same requests do without us: else all that follows would prove nothing. */
async function before({ lab, screen, web }: Scene): Promise<void> {
  screen.heading('Before: a Docker host as it comes')
  for (const [what, address] of [
    ['a stranger', STRANGER],
    ['cloud metadata', '169.254.169.254'],
  ] as const) {
    await screen.step(`web → ${what}, ${address}`, async () => {
      const reply = await request(web, `http://${address}/`)
      return { ok: reply.code === 0, back: say(reply), tookMs: reply.tookMs, verdict: 'OPEN' }
    })
  }
  await screen.step(`web sends ${STRANGER} 500 packets in a second`, async () => {
    const earlier = await arrived(lab, [STRANGER])
    const sent = await flood(web, { dst: STRANGER, proto: 'udp', rate: 500, seconds: 1 })
    const packets = (await arrived(lab, [STRANGER])) - earlier
    return { ok: packets >= sent * 0.9, back: `${count(packets, 'packet')} got out`, verdict: 'OPEN' }
  })
}

async function start({ host, screen }: Scene): Promise<void> {
  screen.heading('embargod run, with deploy/embargod.example.yaml (its minutes made seconds)')
  await screen.step('start, until `embargod status` says healthy', async () => {
    const beganMs = performance.now()
    await host.start()
    const tookMs = performance.now() - beganMs
    const { stdout } = await host.embargod('status', '--json')
    const { guards }: { guards: { guard: string; enforcing: boolean }[] } = JSON.parse(stdout)
    return {
      ok: guards.length === 2 && guards.every(({ enforcing }) => enforcing),
      back: guards.map(({ guard, enforcing }) => `${guard}: ${enforcing ? 'stands' : 'MISSING'}`).join(', '),
      tookMs,
    }
  })
}

async function verdicts({ lab, screen, shop, web }: Scene): Promise<void> {
  screen.heading('What may leave, and what may not')
  const stripe = { 4: '203.0.113.30', 6: '2001:db8:f::30' } as const
  for (const [name, from] of [
    ['web (default network)', web],
    ['shop_api (network shop)', shop],
  ] as const)
    for (const family of [4, 6] as const)
      await screen.step(`${name} → api.stripe.com, IPv${family}`, () =>
        reaches(from, 'http://api.stripe.com/', stripe[family], { family }),
      )
  await screen.step(`shop_api → a stranger, ${STRANGER}`, () =>
    isDenied(lab, shop, `http://${STRANGER}/`, [STRANGER], 'dropped'),
  )
  await screen.step(`web → a stranger, ${STRANGER6}`, () =>
    isDenied(lab, web, `http://[${STRANGER6}]/`, [STRANGER6], 'dropped'),
  )
  const metadata = ['169.254.169.254', 'fd00:ec2::254']
  for (const [how, url] of [
    ['cloud metadata, 169.254.169.254', 'http://169.254.169.254/'],
    ['cloud metadata, fd00:ec2::254', 'http://[fd00:ec2::254]/'],
    ['updates.example.net, allowed, whose DNS answer points at metadata', 'http://updates.example.net/'],
  ] as const)
    await screen.step(`shop_api → ${how}`, () => isDenied(lab, shop, url, metadata, 'refused'))
}

/** The example allows five new connections a minute and container. */
async function mail({ lab, screen, shop }: Scene): Promise<void> {
  screen.heading('Mail: within the rate')
  await screen.step('shop_api sends twelve mails in eight seconds', async (): Promise<Outcome> => {
    await lab.inet.forget()
    const beganMs = performance.now()
    const one = 'curl -s --max-time 0.6 smtp://mail.example:25 -X NOOP >/dev/null && echo sent || echo lost'
    const { stdout } = await shop.exec([
      'sh',
      '-c',
      `for mail in 1 2 3 4 5 6 7 8 9 10 11 12; do (${one}) & sleep 0.65; done; wait`,
    ])
    const tookMs = performance.now() - beganMs
    const of = (word: string) => stdout.split('\n').filter((line) => line === word).length
    const visits = (await lab.inet.visits(25)).length
    return {
      ok: of('sent') === 5 && of('lost') === 7 && visits === 5,
      back: `${of('sent')} left, ${of('lost')} dropped; the server saw ${visits}`,
      tookMs,
    }
  })
}

/** Guarded before anything runs in it: its first packets are judged. */
async function newNetwork({ lab, screen }: Scene): Promise<void> {
  screen.heading('A network made on the fly, its bridge named dmz0')
  let dmz: LabContainer | undefined
  await screen.step('create it, run dmz_job in it, which asks a stranger at once', async () => {
    await lab.network('dmz', { bridge: 'dmz0' })
    dmz = await lab.container({ network: 'dmz', name: 'dmz_job' })
    return isDenied(lab, dmz, `http://${STRANGER}/`, [STRANGER], 'dropped')
  })
  await screen.step('dmz_job → api.stripe.com', async () => {
    if (!dmz) throw new Error('there is no such container')
    return reaches(dmz, 'http://api.stripe.com/', '203.0.113.30', { family: 4 })
  })
}
