import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { importImage } from './image.ts'
import { steadyFlood } from './leaks.ts'
import { Neighbour } from './neighbour.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** The engine comes late, crashes, comes back, makes networks and takes them away: the host is never more open for it. */
const lab = useLab({ name: 'engine', startEngine: false })

const FORBIDDEN = '203.0.113.66'
const ALLOWED = 'http://203.0.113.12/'
const CONFIG = 'allow: [allowed.example, { cidr: 203.0.113.12, ports: [80/tcp] }]'

const passes = async (from: LabContainer, timeoutMs = 2000): Promise<boolean> =>
  (await fetchPage(from, ALLOWED, { timeoutMs })).code === 0
const statusCode = async (): Promise<number> => (await lab().cli(['status'])).code

/** Sends what is forbidden from its first moment on, and again from the first moment after each restart. */
const FLOODER = [
  'sh',
  '-c',
  `while :; do sender flood --proto=udp --dst=${FORBIDDEN} --port=9999 --rate=500 --seconds=600; done`,
]

const deniedIn = async (network: string): Promise<number> =>
  (await scrape(lab())).value('denied_packets_total', { network }) ?? 0

/** The daemon read the counters anew, and they grew: what was meant to flood did. */
async function isFlooding(network: string): Promise<void> {
  const before = await deniedIn(network)
  await lab().waitFor(
    `the flood from ${network} is denied`,
    async () => (await deniedIn(network)) > before + 100,
    20_000,
  )
}

test('absent at the start: up, degraded with one clear line, closed; then it appears', async () => {
  const neighbour = await Neighbour.behind(lab(), 'br-0123456789ab')
  onTestFinished(() => neighbour.remove())
  // Else all that follows would prove nothing.
  expect(await neighbour.reaches(FORBIDDEN)).toBe(true)

  const daemon = await guard(lab(), { config: CONFIG, wait: false })
  await lab().waitFor(
    'the policy stands',
    async () => (await scrape(lab()).catch(() => undefined))?.value('enforcing', { guard: 'rules' }) === 1,
    20_000,
  )
  const { code, stdout } = await lab().cli(['status'])
  expect(code).toBe(4)
  expect(await neighbour.reaches('203.0.113.12', 5)).toBe(true)
  expect(stdout.match(/^.*engine cannot be reached.*$/gm), stdout).toHaveLength(2)
  expect(stdout).toMatch(/^degraded: .*engine cannot be reached[^]*\nPROBLEMS\n- .*engine cannot be reached/)
  expect((await scrape(lab())).value('docker_connected')).toBe(0)
  await lab().farEnd.reset()
  const flood = neighbour.floods(FORBIDDEN)
  await sleep(1000)

  await lab().engine.start()
  await lab().waitFor('it is healthy', async () => (await statusCode()) === 0, 20_000)
  expect((await scrape(lab())).value('docker_connected')).toBe(1)
  await importImage(lab().docker)
  const from = await inside(lab())
  expect(await passes(from, 5000)).toBe(true)
  expect((await fetchPage(from, 'http://allowed.example/', { family: 4 })).code).toBe(0)
  expect((await fetchPage(from, `http://${FORBIDDEN}/`, { timeoutMs: 1000 })).code).toBe(28)

  expect(flood.exitCode, 'it still floods').toBeUndefined()
  await flood.stop('SIGKILL')
  expect(await lab().farEnd.count(FORBIDDEN)).toBe(0)
  expect(daemon.logs.match(/the Docker engine cannot be reached/g)?.length ?? 0).toBeLessThanOrEqual(2)
})

test('killed and begun again: its containers flood from their first moment, and nothing leaves', async () => {
  await guard(lab(), { config: CONFIG })
  await lab().farEnd.reset()
  const from = await inside(lab(), { cmd: FLOODER, restart: 'always' })
  await isFlooding('bridge')
  expect(await passes(from)).toBe(true)
  await lab().killEngine()
  await lab().waitFor('that is a trouble', async () => (await statusCode()) === 4)
  await lab().engine.start()
  await lab().waitFor('it is healthy again', async () => (await statusCode()) === 0, 20_000)
  await lab().waitFor('the container runs again', async () => (await from.pid()) > 0, 20_000)
  expect(await passes(from, 5000)).toBe(true)
  await lab().restartEngine()
  await lab().waitFor('the container runs once more', async () => (await from.pid()) > 0, 20_000)
  await lab().waitFor('what is allowed passes', () => passes(from), 20_000)
  await isFlooding('bridge')
  expect(await lab().farEnd.count(FORBIDDEN)).toBe(0)
})

test('with live-restore its containers stay, serve on without it, and nothing leaves', async () => {
  await lab().restartEngine(['--live-restore'])
  await guard(lab(), { config: CONFIG })
  const from = await inside(lab())
  const pid = await from.pid()
  const flood = await steadyFlood(lab(), from)
  for (const end of [() => lab().killEngine(), () => lab().engine.stop()]) {
    await end()
    await lab().waitFor('that is a trouble', async () => (await statusCode()) === 4)
    const { stdout } = await lab().host(
      ['nsenter', `--net=/proc/${pid}/ns/net`, 'curl', '-s', '--max-time', '5', ALLOWED],
      { okExitCodes: [7, 28] },
    )
    expect(stdout, 'what is allowed passes without the engine').not.toBe('')
    await lab().engine.start(['--live-restore'])
    await lab().waitFor('it is healthy again', async () => (await statusCode()) === 0, 20_000)
    expect(await passes(from, 5000)).toBe(true)
  }
  expect(await from.pid()).toBe(pid)
  expect(await flood.stop()).toBe(0)
})

test('a network with a bridge name of its own is guarded from its first packet, and open to what is allowed', async () => {
  await guard(lab(), { config: CONFIG })
  const flood = await steadyFlood(lab(), await inside(lab()))
  for (const bridge of ['dmz0', 'web.front_end-1']) {
    const network = await lab().network(`net-${bridge}`, { bridge })
    const from = await lab().container({ network: `net-${bridge}`, cmd: FLOODER })
    expect(await passes(from, 5000), bridge).toBe(true)
    await isFlooding(`net-${bridge}`)
    await from.stop()
    await network.remove()
  }
  expect(await flood.stop()).toBe(0)
})

test('twenty networks come and go, and nothing leaves from theirs or from another', async () => {
  await guard(lab(), { config: CONFIG })
  const from = await inside(lab())
  const flood = await steadyFlood(lab(), from)
  for (let round = 0; round < 4; round += 1) {
    const numbers = Array.from({ length: 5 }, (_, index) => round * 5 + index)
    const networks = []
    for (const number of numbers)
      networks.push(await lab().network(`many${number}`, number % 2 === 0 ? { bridge: `many${number}` } : {}))
    const last = await lab().container({ network: `many${numbers.at(-1)}`, cmd: FLOODER })
    expect(await passes(from)).toBe(true)
    await last.stop()
    for (const network of networks) await network.remove()
  }
  expect(await flood.stop()).toBe(0)
  await lab().waitFor('no rule speaks of them', async () => !(await ownRules()).includes('many'))
  expect(await statusCode()).toBe(0)
})

test('a removed network leaves the rules and the metrics', async () => {
  await guard(lab(), { config: CONFIG })
  const network = await lab().network('passing', { bridge: 'passing0' })
  const from = await lab().container({ network: 'passing', cmd: FLOODER })
  await isFlooding('passing')
  expect(await ownRules()).toContain('passing0')
  await from.stop()
  await network.remove()
  await lab().waitFor('no rule speaks of it', async () => !(await ownRules()).includes('passing0'))
  await lab().waitFor(
    'its series are gone',
    async () => !(await scrape(lab())).samples.some(({ labels }) => labels['network'] === 'passing'),
  )
  const { stdout } = await lab().cli(['status'])
  expect(stdout).not.toContain('passing')
})

/** All rules of the host; the engine takes its own away before it says that a network is gone. */
async function ownRules(): Promise<string> {
  const texts = [
    ['iptables-save'],
    ['ip6tables-save'],
    ['nft', 'list', 'table', 'inet', 'embargod-guard'],
  ] as const
  const outputs = []
  for (const argv of texts) outputs.push((await lab().host(argv)).stdout)
  return outputs.join('\n')
}
