import { beforeAll, expect, onTestFinished, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { Daemon } from './embargod.ts'
import { origin, reached } from './reach.ts'
import { inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'
import { LiveConnection } from './web.ts'

/** Rights while things change: names, processes, tables, the config. And what operators see of them. */
const lab = useLab({ name: 'policies-live' })

const COMMON = '203.0.113.10'
const WEB = '203.0.113.21'
const GOLD = '203.0.113.22'

const config = (policies: string): string => `
denyWith: reject
allow: [{ cidr: ${COMMON}, ports: [80/tcp] }]
policies:
${policies}`
const POLICIES = `
  web: { match: { container: 'web-*' }, allow: [{ cidr: ${WEB}, ports: [80/tcp] }] }
  gold: { match: { label: tier=gold }, allow: [{ cidr: ${GOLD}, ports: [80/tcp] }] }
  alone: { match: { network: alone }, inherit: false }
`

let daemon: Daemon
let web: LabContainer

const reaches = async (from: LabContainer, address: string): Promise<boolean> =>
  (await reached(from, [origin(address)], { seconds: 2 })).length === 1

async function reachesSoon(from: LabContainer, address: string): Promise<void> {
  await lab().waitFor(`${from.name} reaches ${address}`, () => reaches(from, address))
}

async function reload(text: string): Promise<void> {
  await lab().embargod.writeConfig(text)
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
}

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().network('alone')
  daemon = await lab().daemon({ config: config(POLICIES) })
  web = await lab().container({ network: 'shop', name: 'web-1' })
  await reachesSoon(web, WEB)
})

test('rights are there before the first packet, mostly', async () => {
  const first = { network: 'shop', cmd: ['curl', '-s', '-o', '/dev/null', '-m', '2', origin(WEB)] }
  let reachedAtOnce = 0
  for (let index = 0; index < 6; index += 1) {
    const container = await lab().container({ ...first, name: `web-first-${index}` })
    const { StatusCode } = await lab().docker.getContainer(container.id).wait()
    if (StatusCode === 0) reachedAtOnce += 1
  }
  // How many is a matter of how busy the machine is.
  expect(reachedAtOnce).toBeGreaterThan(0)
})

test('status says who is in what, by what, and that a network is mixed', async () => {
  await inside(lab(), { network: 'shop', name: 'plain' })
  await inside(lab(), { network: 'alone', name: 'hermit' })
  await lab().waitFor('all are held', async () => {
    const { stdout } = await lab().cli(['status'])
    return (
      /^web-1 +shop +common web +web: container web-\* +yes$/m.test(stdout) &&
      /^plain +shop +common +yes$/m.test(stdout) &&
      /^hermit +alone +alone +alone: network alone +yes$/m.test(stdout) &&
      /^mixed-bridge +shop /m.test(stdout)
    )
  })
  expect((await scrape(lab())).value('unprotected', { reason: 'mixed-bridge' })).toBe(1)
})

test('explain tells the rule that decides', async () => {
  const plain = await inside(lab(), { network: 'shop', name: 'plain' })
  await reachesSoon(plain, COMMON)
  const allowed = await lab().cli(['explain', 'web-1', `${WEB}:80`])
  expect(allowed.code).toBe(0)
  expect(allowed.stdout).toMatch(/containers of common, web/)
  expect(allowed.stdout).toMatch(/because EMBARGOD-C-\d+: allow web: 80\/tcp/)
  const denied = await lab().cli(['explain', 'plain', `${WEB}:80`])
  expect(denied.code).toBe(6)
  expect(denied.stdout).toMatch(/not allowed by common/)
})

test('what a container is denied is counted for its policies, and stays when it is gone', async () => {
  const denied = async (policy: string) =>
    (await scrape(lab())).value('denied_packets_total', { policy, network: 'shop', reason: 'policy' }) ?? 0
  const brief = await lab().container({ network: 'shop', name: 'web-brief' })
  await reachesSoon(brief, WEB)
  const [before, others] = [await denied('common+web'), await denied('common')]
  for (let times = 0; times < 3; times += 1) await reaches(brief, GOLD)
  await brief.stop()
  await lab().waitFor('it is counted', async () => (await denied('common+web')) >= before + 3, 40_000)
  expect(await denied('common')).toBe(others)
})

test('a label that the image brings gives nothing and is counted; the same on the container does', async () => {
  const base = await inside(lab(), { network: 'shop' })
  await lab().docker.getContainer(base.id).commit({ repo: 'golden', tag: '1', changes: 'LABEL tier=gold' })
  const forged = await inside(lab(), { network: 'shop', image: 'golden:1', cmd: ['sleep', '600'] })
  const given = await inside(lab(), { network: 'shop', labels: { tier: 'gold' } })
  await reachesSoon(given, GOLD)
  await reachesSoon(forged, COMMON)
  expect(await reaches(forged, GOLD)).toBe(false)
  await lab().waitFor('it is counted', async () => (await scrape(lab())).value('ignored_image_labels') === 1)
})

test('the label of a network attaches to who is on it what may be attached, but for metadata', async () => {
  const guest = `guest: { attachable: true, metadata: allow, allow: [{ cidr: ${GOLD}, ports: [80/tcp] }] }`
  await reload(`guard: { labels: honour }${config(`${POLICIES}\n  ${guest}\n`)}`)
  await lab().network('visitors', { labels: { 'embargod.policy': 'guest' } })
  await lab().network('pretenders', { labels: { 'embargod.policy': 'web' } })
  const visitor = await inside(lab(), { network: 'visitors', name: 'visitor' })
  const pretender = await inside(lab(), { network: 'pretenders' })
  await reachesSoon(visitor, GOLD)
  expect(await reaches(visitor, INET.metadata)).toBe(false)
  await reachesSoon(pretender, COMMON)
  expect(await reaches(pretender, WEB)).toBe(false)
  const { stdout } = await lab().cli(['status'])
  expect(stdout).toMatch(
    /^visitor +visitors +common guest +guest: label embargod\.policy=guest of its network/m,
  )
  await reload(config(POLICIES))
  await lab().waitFor('it is ignored', async () => !(await reaches(visitor, GOLD)))
})

test('who shares the network of a container has its rights', async () => {
  const guest = await inside(lab(), { network: `container:${web.id}`, name: 'guest' })
  expect(await reaches(guest, WEB)).toBe(true)
})

test('a container that loses its rights loses its live connections with them', async () => {
  const one = await inside(lab(), { network: 'shop', name: 'web-2' })
  await reachesSoon(one, WEB)
  const live = await LiveConnection.open(one, origin(WEB))
  expect(await live.flows()).toBe(true)
  await lab().docker.getContainer(one.id).rename({ name: 'former' })
  await lab().waitFor('the right is gone', async () => !(await reaches(one, WEB)))
  await lab().waitFor('the connection ends', async () => !(await live.flows(1500)))
  expect(await reaches(one, COMMON)).toBe(true)
  // Rights go with the container, not with what it was called.
  await lab().docker.getContainer(one.id).rename({ name: 'web-3' })
  await reachesSoon(one, WEB)
})

test('a connection is judged once, and goes on by what it bears', async () => {
  const packets = async (rule: string): Promise<number> => {
    const { stdout } = await lab().host(['iptables-save', '-c', '-t', 'filter'])
    return Number(new RegExp(`^\\[(\\d+):\\d+\\] -A EMBARGOD-VERDICT .*\\[${rule} `, 'm').exec(stdout)?.[1])
  }
  const live = await LiveConnection.open(web, origin(WEB))
  const [admitted, judgedAgain] = [await packets('admitted'), await packets('admitted.other')]
  expect(await live.flows(2000)).toBe(true)
  expect(await packets('admitted')).toBeGreaterThan(admitted)
  expect(await packets('admitted.other')).toBe(judgedAgain)
})

test('on a second network it has what it has there', async () => {
  const both = await inside(lab(), { network: 'shop', name: 'web-4' })
  await reachesSoon(both, COMMON)
  // `inherit: false` of the other network holds on this one too.
  await both.connectTo('alone')
  await lab().waitFor('what is common is gone', async () => !(await reaches(both, COMMON)))
  expect(await reaches(both, WEB)).toBe(true)
  await both.disconnectFrom('alone')
  await reachesSoon(both, COMMON)
})

test('a table of bindings that somebody deletes or changes is put right', async () => {
  const repairs = async () => (await scrape(lab())).value('drift_repairs_total', { kind: 'bindings' }) ?? 0
  for (const argv of [
    ['nft', 'delete', 'table', 'bridge', 'embargod-bindings'],
    ['nft', 'flush', 'chain', 'bridge', 'embargod-bindings', 'known'],
    ['nft', 'delete', 'table', 'inet', 'embargod-bindings'],
    ['nft', 'flush', 'chain', 'inet', 'embargod-bindings', 'again'],
  ] as const) {
    const before = await repairs()
    await lab().host(argv)
    await lab().waitFor(`${argv[1]} is repaired`, async () => (await repairs()) > before)
    await reachesSoon(web, WEB)
  }
})

test('rights outlast the daemon, and a restart', async () => {
  await daemon.kill()
  expect(await reaches(web, WEB)).toBe(true)
  const late = await inside(lab(), { network: 'shop', name: 'web-9' })
  expect(await reaches(late, WEB)).toBe(false)
  daemon = await lab().daemon({ config: config(POLICIES) })
  await reachesSoon(late, WEB)
  expect(await reaches(web, WEB)).toBe(true)
})

test('a policy that goes takes its rights along, and the last one its table', async () => {
  const live = await LiveConnection.open(web, origin(WEB))
  await reload(config(POLICIES.replace(/^ {2}web:.*$/m, '')))
  await lab().waitFor('the right is gone', async () => !(await reaches(web, WEB)))
  expect(await live.flows(1500)).toBe(false)
  expect(await reaches(web, COMMON)).toBe(true)
  await reload(config('').replace('policies:', ''))
  expect((await lab().host(['nft', 'list', 'tables'])).stdout).not.toContain('embargod-bindings')
  expect(await reaches(web, COMMON)).toBe(true)
  await reload(config(POLICIES))
  await reachesSoon(web, WEB)
})

test('a restart beside an engine that does not answer leaves everybody what he has', async () => {
  const hermit = await inside(lab(), { network: 'alone', name: 'hermit-2' })
  const pids = await Promise.all(
    [web, hermit].map(async ({ id }) => (await lab().docker.getContainer(id).inspect()).State.Pid),
  )
  const codes = async (address: string): Promise<string[]> => {
    const argv = ['curl', '-s', '-o', '/dev/null', '-m', '2', '-w', '%{http_code}', origin(address)]
    const tried = pids.map((pid) =>
      lab().host(['nsenter', `--target=${pid}`, '--net', ...argv], { okExitCodes: [7, 28] }),
    )
    return (await Promise.all(tried)).map(({ stdout }) => stdout)
  }
  await daemon.kill()
  lab().engine.signal('SIGSTOP')
  onTestFinished(() => lab().engine.signal('SIGCONT'))
  daemon = await lab().daemon({ config: config(POLICIES), wait: false })
  await lab().waitFor('it enforces', async () => daemon.logs.includes('"msg":"enforcing"'))
  for (let times = 0; times < 3; times += 1) {
    expect(await codes(WEB)).toEqual(['200', '000'])
    expect(await codes(COMMON)).toEqual(['200', '000'])
  }
  expect((await lab().cli(['status'])).stdout).toMatch(/^ +docker: +not connected/m)
  lab().engine.signal('SIGCONT')
  await daemon.ready()
  await reachesSoon(web, WEB)
})

test('cleanup leaves nothing of it', async () => {
  expect(await lab().cli(['cleanup', '--stop', '--yes'])).toMatchObject({ code: 0 })
  expect((await lab().host(['nft', 'list', 'tables'])).stdout).not.toContain('embargod')
})
