import { beforeAll, expect, test } from 'vitest'
import { heals, statusOf } from './host-kinds.ts'
import { guard } from './scene.ts'
import { useLab } from './shared-lab.ts'

/** What the engine put into the kernel is missed when somebody takes a part of it, for without it what is allowed may be lost. */
const lab = useLab({ name: 'engine-rules' })

const CONFIG = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]'
const TOOLS = ['iptables', 'ip6tables'] as const

beforeAll(async () => {
  await lab().network('shop', { ipv6: true, bridge: 'shop0' })
})

/** Puts back what the engine has now, as a restart of it would. */
async function remember(): Promise<() => Promise<void>> {
  const saves: [tool: string, input: string][] = []
  for (const tool of TOOLS) {
    const { stdout } = await lab().host([`${tool}-save`])
    const lines = stdout.split('\n').filter((line) => !line.includes('EMBARGOD'))
    saves.push([tool, lines.join('\n')])
  }
  return async () => {
    for (const [tool, input] of saves) {
      // Ours stand in some of the chains: only what is gone is put back, chain by chain.
      const { stdout } = await lab().host([`${tool}-save`])
      const present = new Set(stdout.split('\n'))
      const lacking = input.split('\n').filter((line) => !line.startsWith('-A ') || !present.has(line))
      const lines = lacking.filter((line) => !line.startsWith(':'))
      await lab().host([`${tool}-restore`, '--noflush'], { input: lines.join('\n') })
    }
  }
}

const told = async (): Promise<string> =>
  (await statusOf(lab())).problems.find((line) => line.startsWith('rules of the Docker engine are gone')) ??
  ''

/** Nothing tells of a change in the nat table: it is looked at every 15 s, and has to lack the rules twice. */
const becomes = (what: RegExp): Promise<void> =>
  lab().waitFor(`status says ${what}`, async () => what.test(await told()), 60_000)

test('status names the part that somebody flushed, of either family, until it is back', async () => {
  await guard(lab(), { config: CONFIG })
  expect(await told()).toBe('')
  const hasSix = (await lab().host(['ip6tables-save', '-t', 'nat'])).stdout.includes(':DOCKER ')
  const restore = await remember()
  await lab().host(['iptables', '-t', 'nat', '-F', 'POSTROUTING'])
  if (hasSix) await lab().host(['ip6tables', '-t', 'nat', '-F', 'POSTROUTING'])
  await becomes(hasSix ? /IPv4 masquerading, IPv6 masquerading\).*restart/ : /\(IPv4 masquerading\).*restart/)
  expect(await told()).not.toContain('forwarding')
  await restore()
  await heals(lab())

  const rule = '-s 172.18.0.0/16 ! -o shop0 -j MASQUERADE'.split(' ')
  const [subnet = ''] = /172\.\d+\.0\.0\/16(?= ! -o shop0)/.exec(
    (await lab().host(['iptables-save', '-t', 'nat'])).stdout,
  ) ?? ['']
  rule[1] = subnet
  await lab().host(['iptables', '-t', 'nat', '-D', 'POSTROUTING', ...rule])
  await lab().host(['iptables', '-F', 'FORWARD'])
  await becomes(/IPv4 forwarding.*IPv4 masquerading of shop/)
  await restore()
  await heals(lab())
})

test('a daemon that starts after a flush of all rules says so, until the engine is restarted', async () => {
  await lab().host(['nft', 'flush', 'ruleset'])
  await guard(lab(), { config: CONFIG, wait: false })
  await lab().waitFor('it answers', async () => (await lab().cli(['status'])).code === 4, 30_000)
  await becomes(/IPv4 forwarding.*IPv4 masquerading.*restart the engine/)
  await lab().restartEngine()
  await heals(lab())
})
