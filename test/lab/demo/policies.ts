import type { ContainerOptions, LabContainer } from '../container.ts'
import { NAMES } from './guarded-host.ts'
import type { Scene } from './scene.ts'
import type { Outcome } from './screen.ts'

const CDN = NAMES['cdn.example'].a[0]

const POLICIES = `
policies:
  shop: { match: { compose: shop }, allow: [cdn.example] }
  payments: { match: { network: shop_payments }, allow: [api.adyen.com:80], inherit: false }
  mailer: { match: { compose: shop/mailer }, allow: ["mail.example:25"], smtp: { rate: 100/hour } }
  crawler: { match: { container: crawler }, allow: [{ to: internet, ports: [80/tcp] }] }
`

const TARGETS = {
  stripe: 'http://api.stripe.com/',
  cdn: 'http://cdn.example/',
  adyen: 'http://api.adyen.com/',
  mail: 'smtp://mail.example:25',
  stranger: 'http://203.0.113.66/',
} as const
type Target = keyof typeof TARGETS

interface Role {
  readonly options: ContainerOptions
  readonly may: readonly Target[]
}

const service = (name: string): Record<string, string> => ({
  'com.docker.compose.project': 'shop',
  'com.docker.compose.service': name,
})
const ROLES: Readonly<Record<string, Role>> = {
  shop_web: { options: { network: 'shop', labels: service('web') }, may: ['stripe', 'cdn'] },
  shop_mailer: { options: { network: 'shop', labels: service('mailer') }, may: ['stripe', 'cdn', 'mail'] },
  payments: { options: { network: 'shop_payments' }, may: ['adyen'] },
  crawler: { options: { network: 'bridge' }, may: ['stripe', 'cdn', 'adyen', 'stranger'] },
  other: { options: { network: 'shop' }, may: ['stripe'] },
}

/** Other rights for other containers: who reaches what, tried for real. */
export async function policies({ lab, host, screen }: Scene): Promise<void> {
  screen.heading('Policies: a shop, its payments, a mailer, a crawler')
  screen.text(POLICIES.trim())
  const containers = new Map<string, LabContainer>()
  await screen.step('reload; five containers start', async () => {
    // What came before may have allowed mail to everybody.
    await host.disallow('mail')
    await host.addConfig('policies', POLICIES)
    const { exitCode, stderr } = await host.embargod('reload')
    if (exitCode !== 0) throw new Error(stderr)
    await lab.network('shop_payments')
    for (const [name, { options }] of Object.entries(ROLES))
      containers.set(name, await lab.container({ ...options, name }))
    const { stdout } = await host.embargod('status', '--json')
    const { problems }: { problems: string[] } = JSON.parse(stdout)
    return { ok: problems.length === 0, back: problems[0] ?? 'all five run' }
  })
  for (const [name, { may }] of Object.entries(ROLES)) {
    const container = containers.get(name)
    if (!container) continue
    await lab.waitFor(`${name} has its rights`, async () =>
      (await Promise.all(may.map((one) => reachesTarget(container, one)))).every(Boolean),
    )
    await screen.step(`${name.padEnd(11)} may: ${may.join(', ')}`, () => tryAll(container, may))
  }
  await screen.step('other, in the name of its neighbour shop_web → cdn', async () => {
    const [neighbour] = (await containers.get('shop_web')?.addresses())?.ipv4 ?? []
    const forged = `sender flood --proto=syn --src=${neighbour} --dst=${CDN} --port=80 --rate=500 --seconds=1`
    const before = await lab.farEnd.count(CDN)
    await containers.get('other')?.exec(forged.split(' '))
    const packets = (await lab.farEnd.count(CDN)) - before
    return { ok: packets === 0, back: `500 packets sent, ${packets} got out` }
  })
}

async function tryAll(from: LabContainer, may: readonly Target[]): Promise<Outcome> {
  const targets = Object.keys(TARGETS) as Target[]
  const answers = await Promise.all(targets.map((target) => reachesTarget(from, target)))
  const reached = targets.filter((_, index) => answers[index])
  return {
    ok: reached.join() === targets.filter((one) => may.includes(one)).join(),
    back: `reaches ${reached.join(', ')}`,
  }
}

async function reachesTarget(from: LabContainer, target: Target): Promise<boolean> {
  const url = TARGETS[target]
  const noop = url.startsWith('smtp') ? ['-X', 'NOOP'] : ['-fo', '/dev/null']
  return (await from.exec(['curl', '-sg', '--max-time', '2', ...noop, url])).code === 0
}
