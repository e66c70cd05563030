import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { leaksDuring, steadyFlood } from './leaks.ts'
import { useLab } from './shared-lab.ts'
import { SystemdHost } from './systemd-host.ts'
import { fetchPage } from './web.ts'

/** What stalls is restarted by the service manager; what fails and goes on trying is not. The rules stand all the while. */
const lab = useLab({ name: 'watchdog', startEngine: false })

const CONFIG = 'allow: [allowed.example]\nresolver: { servers: [198.51.100.1] }\n'
const PAGE = 'http://allowed.example/'
/** Short, so that the test is; a start that stalls is given up as soon. */
const DROP_IN = '[Service]\nWatchdogSec=8\nTimeoutStartSec=15\n'

let host: SystemdHost
let shop: LabContainer

beforeAll(async () => {
  host = new SystemdHost(lab())
  await host.installEmbargod()
  await host.install('etc/embargod/embargod.yaml', CONFIG, 0o600)
  await host.install('etc/systemd/system/embargod.service.d/watchdog.conf', DROP_IN)
  await host.startEngine()
  await host.boot()
  shop = await lab().container()
}, 900_000)

afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await host.status('embargod.service'))
})

const shell = async (script: string): Promise<string> => (await host.run(['sh', '-c', script])).stdout.trim()
const restarts = async (): Promise<number> => Number(await host.show('embargod.service', 'NRestarts'))
const statusCode = async (): Promise<number> =>
  (await host.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })).exitCode
const isUp = async (): Promise<boolean> =>
  (await host.show('embargod.service', 'ActiveState')) === 'active' && (await statusCode()) === 0

async function leaks(disturb: () => Promise<unknown>): Promise<number> {
  const flood = await steadyFlood(lab(), shop)
  await disturb()
  return flood.stop()
}

async function comesBack(before: number): Promise<void> {
  await lab().waitFor('it is up again', async () => (await restarts()) > before && (await isUp()), 120_000)
  expect(await fetchPage(shop, PAGE)).toMatchObject({ code: 0 })
}

test('unguarded, the flood arrives', async () => {
  expect(await leaksDuring(lab(), shop, async () => undefined, { seconds: 1 })).toBeGreaterThan(500)
})

test('a process whose own code never returns is restarted, and nothing leaks', async () => {
  await host.run(['systemctl', 'start', 'embargod.service'])
  await lab().waitFor('it is up', isUp, 60_000)
  const before = await restarts()
  const leaked = await leaks(async () => {
    await evaluate('for (;;) {}')
    await lab().waitFor('the watchdog ends it', async () => (await restarts()) > before, 60_000)
  })
  expect(leaked).toBe(0)
  expect(await host.journal('embargod.service')).toContain('Watchdog timeout')
  await comesBack(before)
})

test('a pass that waits for ever is restarted, and nothing leaks', async () => {
  const before = await restarts()
  // Whatever a pass waits for has a time limit. So a tool hangs, and the limit is taken away.
  await evaluate(NO_LIMIT)
  const tool = '/usr/sbin/iptables-nft-save'
  await shell(
    `mv ${tool} ${tool}.well && printf '#!/bin/sh\\nexec sleep 1000\\n' >${tool} && chmod 755 ${tool}`,
  )
  const leaked = await leaks(async () => {
    await host.run(['systemctl', '--no-block', 'reload', 'embargod.service'])
    await lab().waitFor('the watchdog ends it', async () => (await restarts()) > before, 60_000)
  })
  expect(leaked).toBe(0)
  await shell(`mv ${tool}.well ${tool}`)
  await comesBack(before)
})

test('passes that fail feed the watchdog: the loop turns, and says that it is degraded', async () => {
  const before = await restarts()
  const tool = '/usr/sbin/iptables-nft-save'
  await shell(`mv ${tool} ${tool}.well && printf '#!/bin/sh\\nexit 1\\n' >${tool} && chmod 755 ${tool}`)
  const leaked = await leaks(async () => {
    await host.run(['systemctl', 'reload', 'embargod.service'])
    await sleep(11_000)
  })
  expect(leaked).toBe(0)
  expect(await restarts()).toBe(before)
  expect(await statusCode()).toBe(4)
  await shell(`mv ${tool}.well ${tool}`)
  await lab().waitFor('it is healthy', isUp, 60_000)
})

/** The runtime's own debugger, which a signal opens, has the process do something. */
async function evaluate(expression: string): Promise<void> {
  await host.run(['systemctl', 'kill', '--kill-who=main', '--signal=USR1', 'embargod.service'])
  const argv = [process.execPath, '--experimental-websocket', '--input-type=module', '-e', EVALUATE] as const
  await host.run([...argv, expression])
}

const NO_LIMIT = `{
  const real = setTimeout
  globalThis.setTimeout = (work, ms, ...rest) => real(work, ms >= 10_000 && ms <= 40_000 ? 2 ** 31 - 1 : ms, ...rest)
}`

const EVALUATE = `
for (let tries = 0; ; tries += 1) {
  try {
    const [{ webSocketDebuggerUrl }] = await (await fetch('http://127.0.0.1:9229/json')).json()
    const socket = new WebSocket(webSocketDebuggerUrl)
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject })
    socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression: process.argv[1] } }))
    setTimeout(() => process.exit(0), 300)
    break
  } catch (error) {
    if (tries > 50) throw error
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
`
