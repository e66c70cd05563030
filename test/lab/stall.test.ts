import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { FaultTools } from './fault-tools.ts'
import { heals } from './host-kinds.ts'
import { steadyFlood } from './leaks.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { Tools } from './tools.ts'
import { fetchPage } from './web.ts'

/** A pass that does not end is seen from outside, keeps nobody waiting, and opens nothing. */
const lab = useLab({ name: 'stall' })

const CONFIG = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]'

/** Whatever a pass waits for has a time limit; in this process the longer ones never come. */
const NO_LIMITS = `
const real = globalThis.setTimeout
const longer = (work, ms, ...rest) => real(work, ms >= 10_000 && ms <= 40_000 ? 2 ** 31 - 1 : ms, ...rest)
globalThis.setTimeout = Object.defineProperties(longer, Object.getOwnPropertyDescriptors(real))
`

let tools: FaultTools
let env: Readonly<Record<string, string>>

beforeAll(async () => {
  tools = await FaultTools.install(lab())
  const preload = join(lab().directory, 'no-limits.cjs')
  await writeFile(preload, NO_LIMITS)
  env = { ...tools.env, NODE_OPTIONS: `--require=${preload}` }
})

async function readyz(): Promise<string> {
  const argv = [
    'curl',
    '-s',
    '--max-time',
    '2',
    '-w',
    '%{http_code}',
    'http://127.0.0.1:9464/readyz',
  ] as const
  return (await lab().host(argv, { okExitCodes: [7, 28] })).stdout
}

const hangs = 'a pass has not ended for 10 s: it waits for the tools that read the kernel'

test('a pass that does not end is told within 15 s, and whoever waits for it; it heals when it ends', async () => {
  await guard(lab(), { config: CONFIG, env })
  const from = await inside(lab())
  expect(await readyz()).toMatch(/200$/)
  const flood = await steadyFlood(lab(), from)
  await tools.spoil('iptables-nft-save.1', 'hang')
  const reload = lab().cli(['reload'])
  await lab().waitFor('the pass hangs', () => tools.wasPlayed(), 20_000)
  const fromMs = performance.now()
  const allow = lab().cli(['allow', '203.0.113.13:80', '--for', '1h'])
  await lab().waitFor('it is not ready', async () => (await readyz()).endsWith('503'), 15_000)
  expect(performance.now() - fromMs).toBeLessThan(15_000)
  expect(await readyz()).toContain(hangs)
  expect(await lab().cli(['status'])).toMatchObject({ code: 4, stdout: expect.stringContaining(hangs) })
  expect(await reload).toMatchObject({ code: 1, stderr: expect.stringContaining(hangs) })
  expect(await allow).toMatchObject({ code: 1, stderr: expect.stringContaining('does not hold it yet') })
  const plan = await lab().cli(['plan', '--config', lab().embargod.configFile])
  expect(plan).toMatchObject({ code: 1, stderr: expect.stringContaining('does not end') })
  expect(performance.now() - fromMs).toBeLessThan(30_000)
  expect(await fetchPage(from, 'http://203.0.113.12/')).toMatchObject({ code: 0 })

  await lab().host(['sh', '-c', 'kill $(pgrep -x -f "sleep 1000")'])
  await heals(lab())
  expect(await readyz()).toMatch(/200$/)
  expect(await fetchPage(from, 'http://203.0.113.13/')).toMatchObject({ code: 0 })
  expect(await flood.stop()).toBe(0)
})

test('a daemon whose pass does not end can be stopped, and the next one is not held up', async () => {
  const daemon = await guard(lab(), { config: CONFIG, env })
  await tools.spoil('iptables-nft-save.1', 'hang')
  await lab().waitFor('the pass hangs', () => tools.wasPlayed(), 20_000)
  const fromMs = performance.now()
  // What waits for it is given 30 s by the service manager.
  daemon.signal('SIGTERM')
  expect(await daemon.ended).toBe(0)
  expect(performance.now() - fromMs).toBeLessThan(20_000)
  await tools.forget()
  await guard(lab(), { config: CONFIG })
})

test('READY is said when the kernel holds the policy, and by no reload before', async () => {
  const failing = await Tools.install(lab(), 'start')
  await lab().cli(['cleanup', '--yes'])
  const socket = join(lab().directory, 'notify.sock')
  const manager = lab().service('host', ['perl', '-e', LISTENER, socket])
  await lab().waitFor('the manager listens', () => manager.log.includes('listening'))
  await failing.failAlways('exit1')
  const daemon = await guard(lab(), {
    config: CONFIG,
    env: { PATH: failing.path, NOTIFY_SOCKET: socket },
    wait: false,
  })
  await lab().waitFor('a pass has failed', () => daemon.logs.includes('pass failed'))
  for (let times = 0; times < 3; times += 1) {
    daemon.signal('SIGHUP')
    await sleep(300)
  }
  expect(await lab().cli(['reload'])).toMatchObject({ code: 1 })
  await lab().waitFor('a reload was tried', () => /reload/.test(daemon.logs))
  await sleep(500)
  expect(await readFile(manager.logFile, 'utf8')).not.toContain('READY=1')
  await failing.forget()
  await lab().waitFor('READY', () => manager.log.includes('READY=1'), 30_000)
  expect((await lab().cli(['status'])).code).toBe(0)
})

/** A service manager that writes down what it is told. */
const LISTENER = String.raw`
use strict; use warnings; use IO::Socket::UNIX; use Socket;
$| = 1;
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die "$!\n";
print "listening\n";
while (defined $socket->recv(my $message, 4096)) { $message =~ s/\n/ /g; print "$message\n" }
`
