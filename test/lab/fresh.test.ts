import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { programArgv, type Daemon } from './embargod.ts'
import { IMAGE } from './image.ts'
import { origin } from './reach.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { INET } from './topology.ts'

/** Containers that connect in their first millisecond: what they may reach is never lost, and what they may not is never reached. */
const lab = useLab({ name: 'fresh' })

const COUNT = 12
const SENDER = fileURLToPath(new URL('sender.pl', import.meta.url))
const COMMON = '203.0.113.10'
const PORT = 9999
const WEB = '203.0.113.21'
const OTHERS = '203.0.113.22'

const CONFIG = `
denyWith: reject
dns: { gateway: true }
allow: [{ cidr: ${COMMON}, ports: [80/tcp, ${PORT}/udp] }]
policies:
  web: { match: { container: 'web-*' }, allow: [{ cidr: ${WEB}, ports: [80/tcp] }, allowed.example] }
  role: { match: { container: 'role-*' }, metadata: allow }
  others: { match: { container: 'others-*' }, allow: [{ cidr: ${OTHERS}, ports: [80/tcp] }] }
`

/** How `curl` ended as the first process of containers, one container after the other: its exit code; `late`: by the second packet, after a second. */
async function firstFetches(name: string, url: string, created = name): Promise<(number | 'late')[]> {
  const ends: (number | 'late')[] = []
  for (let index = 0; index < COUNT; index += 1) {
    const cmd = ['curl', '-gs', '-o', '/dev/null', '-m', '4', '-w', '%{time_total}', url]
    const container = await lab().docker.createContainer({
      Image: IMAGE,
      name: `${created}-${index}`,
      Cmd: cmd,
      HostConfig: { NetworkMode: 'shop' },
    })
    if (created !== name) await container.rename({ name: `${name}-${index}` })
    await container.start()
    const { StatusCode: code } = (await container.wait()) as { StatusCode: number }
    const seconds = Number(/\d+\.\d+/.exec(String(await container.logs({ stdout: true })))?.[0])
    ends.push(code === 0 && seconds >= 0.9 ? 'late' : code)
    await container.remove({ force: true })
  }
  return ends
}

let daemon: Daemon
const NONE_FAILED = Array.from({ length: COUNT }, () => 0)

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  await lab().inet.dns({ 'allowed.example': { a: [WEB], ttl: 60 } })
  daemon = await lab().daemon({ config: CONFIG })
})

test.each([
  ['what its policy allows', 'web', origin(WEB), 'web'],
  ['a name by the gateway', 'web', 'http://allowed.example/', 'web'],
  ['instance metadata', 'role', origin(INET.metadata), 'role'],
  ['what its policy allows under the name that it got before its start', 'web', origin(WEB), 'before'],
])('the first packet of a container reaches %s', { timeout: 120_000 }, async (_, name, url, created) => {
  expect(await firstFetches(name, url, created)).toEqual(NONE_FAILED)
})

test('what it may not reach it does not', { timeout: 120_000 }, async () => {
  const before = await lab().farEnd.count(OTHERS)
  const codes = await firstFetches('web', origin(OTHERS))
  expect(codes).not.toContain(0)
  expect(await lab().farEnd.count(OTHERS)).toBe(before)
  expect(await heldAs('known')).toBeGreaterThan(0)
})

const heldAs = async (outcome: string): Promise<number> =>
  (await scrape(lab())).value('start_hold_total', { outcome }) ?? 0

/** A machine on the network that no container holds, as a build is. */
async function stranger(
  number: number,
): Promise<(argv: readonly string[]) => readonly [string, ...string[]]> {
  const { Id, IPAM } = await lab().docker.getNetwork('shop').inspect()
  const subnet = String(IPAM?.Config?.find(({ Subnet }) => Subnet?.includes('.'))?.Subnet)
  const address = (host: number): string => subnet.replace(/\d+\/\d+$/, String(host))
  const name = `stranger${number}`
  await lab().host(['ip', 'netns', 'add', name])
  const enter = (argv: readonly string[]) => ['nsenter', `--net=/run/netns/${name}`, ...argv] as const
  await lab().host(['ip', '-batch', '-'], {
    input: `link add vethstr${number} type veth peer name eth0 netns ${name}\nlink set vethstr${number} master br-${Id.slice(0, 12)} up\n`,
  })
  await lab().host([...enter(['ip', '-batch', '-'])], {
    input: `addr add ${address(200 + number)}/16 dev eth0\nlink set eth0 up\nroute add default via ${address(1)}\n`,
  })
  return enter
}

const fetchOnce = async (enter: Awaited<ReturnType<typeof stranger>>, address: string, seconds = 3) =>
  lab().host(
    [
      ...enter([
        'curl',
        '-gs',
        '-o',
        '/dev/null',
        '-m',
        `${seconds}`,
        '-w',
        '%{time_total}',
        origin(address),
      ]),
    ],
    {
      okExitCodes: [7, 28],
    },
  )

test('who stays unknown waits once, and has what is common', { timeout: 30_000 }, async () => {
  const enter = await stranger(1)
  const first = await fetchOnce(enter, COMMON)
  const second = await fetchOnce(enter, COMMON)
  expect([first.exitCode, second.exitCode, (await fetchOnce(enter, WEB)).exitCode]).toEqual([0, 0, 7])
  expect(Number(first.stdout)).toBeGreaterThan(0.9)
  expect(Number(second.stdout)).toBeLessThan(0.9)
  expect(await heldAs('unknown')).toBeGreaterThan(0)
})

test(
  'a flood of somebody unknown keeps nothing from a container that starts',
  { timeout: 120_000 },
  async () => {
    const enter = await stranger(2)
    const flood = `flood --proto=udp --dst=${OTHERS} --rate=4000 --seconds=90`.split(' ')
    const service = lab().service('host', enter(['perl', SENDER, ...flood]))
    onTestFinished(() => service.signal('SIGKILL'))
    expect(await firstFetches('web', origin(WEB))).toEqual(NONE_FAILED)
    expect(await heldAs('overflow')).toBeGreaterThan(0)
    expect(await lab().farEnd.count(OTHERS)).toBe(0)
  },
)

/** One datagram after the other, each from somebody new, so that something is held all the time. Resolves to how many were sent, and how many arrived. */
async function sendDuring(first: number, action: () => Promise<unknown>) {
  const strangers = await Promise.all(Array.from({ length: 8 }, (_, index) => stranger(first + index)))
  const before = await lab().farEnd.count(COMMON, { port: PORT })
  const datagram = `flood --proto=udp --dst=${COMMON} --port=${PORT} --rate=1 --seconds=1`.split(' ')
  const sending = (async () => {
    for (const enter of strangers) {
      await lab().host([...enter(['perl', SENDER, ...datagram])])
      await sleep(100)
    }
  })()
  await Promise.all([sending, action()])
  await sleep(1_500)
  return { sent: strangers.length, arrived: (await lab().farEnd.count(COMMON, { port: PORT })) - before }
}

describe('nothing that is held is lost', () => {
  test('while the guards are proven', { timeout: 60_000 }, async () => {
    const { sent, arrived } = await sendDuring(10, async () => {
      expect((await lab().cli(['verify'])).code).toBe(0)
    })
    expect(arrived).toBe(sent)
  })

  test('while a right is taken away', { timeout: 60_000 }, async () => {
    const { sent, arrived } = await sendDuring(20, async () => {
      await lab().embargod.writeConfig(CONFIG.replace(', allowed.example]', ']'))
      expect((await lab().cli(['reload'])).code).toBe(0)
    })
    expect(arrived).toBe(sent)
  })
})

test('a daemon that hangs keeps nobody waiting for more than a moment', { timeout: 30_000 }, async () => {
  const enter = await stranger(4)
  daemon.signal('SIGSTOP')
  onTestFinished(() => daemon.signal('SIGCONT'))
  // The third packet of a connection is sent after three seconds, the second one after one: both of the first two are held.
  const { exitCode, stdout } = await fetchOnce(enter, COMMON, 5)
  expect([exitCode, Number(stdout) < 4]).toEqual([0, true])
})

test(
  'without a daemon nobody waits, and who is unknown has what is common',
  { timeout: 30_000 },
  async () => {
    await daemon.kill()
    const enter = await stranger(3)
    const { exitCode, stdout } = await fetchOnce(enter, COMMON)
    expect([exitCode, Number(stdout) < 0.9]).toEqual([0, true])
    expect((await fetchOnce(enter, WEB)).exitCode).toBe(7)
  },
)

test('with guard.holdNew: 0 nothing is held', { timeout: 30_000 }, async () => {
  daemon = await lab().daemon({ config: `${CONFIG}guard: { holdNew: 0 }\n` })
  const enter = await stranger(5)
  expect(Number((await fetchOnce(enter, COMMON)).stdout)).toBeLessThan(0.9)
  expect((await lab().host(['nft', 'list', 'tables'])).stdout).not.toContain('embargod-hold')
  await daemon.term()
})

test('where the native part is missing status says that nothing is held', { timeout: 30_000 }, async () => {
  const alone = join(lab().directory, 'embargod.cjs')
  await copyFile(programArgv().at(-1) ?? '', alone)
  vi.stubEnv('EMBARGOD_LAB_PROGRAM', alone)
  onTestFinished(() => void vi.unstubAllEnvs())
  daemon = await lab().daemon({ config: CONFIG, wait: false })
  await lab().waitFor(
    'status says so',
    async () => /first packets .* koffi\.node is not installed/.test((await lab().cli(['status'])).stdout),
    20_000,
  )
})
