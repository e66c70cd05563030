import { chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { steadyFlood } from './leaks.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** However the daemon ends and whatever it finds when it begins again, the host is as closed as it was. */
const lab = useLab({ name: 'restart' })

const CONFIG = 'allow: [allowed.example]'
const ALLOWED = 'http://203.0.113.10/'

const passes = async (from: LabContainer, timeoutMs = 2000): Promise<boolean> =>
  (await fetchPage(from, ALLOWED, { timeoutMs })).code === 0
const refused = async (from: LabContainer): Promise<boolean> =>
  (await fetchPage(from, 'http://203.0.113.66/', { timeoutMs: 1000 })).code !== 0

const state = (file: string) => join(lab().embargod.stateDirectory, file)

beforeEach(async () => {
  await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
})

/** What a reboot leaves of the firewall. */
async function forgetRules(): Promise<void> {
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
  expect((await lab().host(['ipset', 'list', '-n'])).stdout).not.toContain('embargod')
}

/** A reboot as the host sees it: nothing is left, and the early unit loads the closed guard. */
async function reboot(from: LabContainer): Promise<void> {
  await forgetRules()
  await lab().host(['nft', '-f', state('closed-guard.nft')])
  expect(await passes(from, 1000), 'the closed guard is closed').toBe(false)
}

async function openedOnce(from: LabContainer) {
  const daemon = await guard(lab(), { config: CONFIG })
  await lab().waitFor('the name is open', () => passes(from))
  await lab().waitFor('its address is saved', async () =>
    (await readFile(state('addresses.json'), 'utf8').catch(() => '')).includes('203.0.113.10'),
  )
  return daemon
}

test('SIGTERM leaves the rules: what was allowed passes, nothing else', async () => {
  const from = await inside(lab())
  const daemon = await openedOnce(from)
  expect(await daemon.term()).toBe(0)
  const flood = await steadyFlood(lab(), from, [4])
  expect(await passes(from)).toBe(true)
  expect(await lab().cli(['status'])).toMatchObject({ code: 5 })
  expect(await flood.stop()).toBe(0)
})

test('killed and begun again with dead DNS, it leaks nothing and never fails what is allowed', async () => {
  const from = await inside(lab())
  const daemon = await openedOnce(from)
  const flood = await steadyFlood(lab(), from, [4])
  let failures = 0
  let tries = 0
  const over = new AbortController()
  const visits = (async () => {
    while (!over.signal.aborted) {
      tries += 1
      if (!(await passes(from))) failures += 1
    }
  })()
  await lab().inet.stopDns()
  try {
    await daemon.kill()
    await guard(lab(), { config: CONFIG, wait: false })
    await lab().waitFor('it is there', async () => (await lab().cli(['status'])).code !== 5, 15_000)
    await new Promise((resolve) => setTimeout(resolve, 5000))
  } finally {
    await lab().inet.startDns()
    over.abort()
  }
  await visits
  expect(tries).toBeGreaterThan(5)
  expect(failures).toBe(0)
  expect(await flood.stop()).toBe(0)
})

test('after a reboot with dead DNS the saved addresses are enforced, and only for names still configured', async () => {
  const from = await inside(lab())
  const daemon = await openedOnce(from)
  await daemon.kill()
  await reboot(from)
  const flood = await steadyFlood(lab(), from, [4])
  await lab().inet.stopDns()
  try {
    const again = await guard(lab(), { config: CONFIG, wait: false })
    await lab().waitFor('the saved address is open', () => passes(from, 1000), 15_000)
    expect(await flood.stop()).toBe(0)
    await again.kill()
    await reboot(from)
    await guard(lab(), { config: 'allow: [api.example]', wait: false })
    await lab().waitFor(
      'the removed name is shut',
      async () => (await scrape(lab()).catch(() => undefined))?.value('enforcing', { guard: 'rules' }) === 1,
      15_000,
    )
    expect(await passes(from, 1000)).toBe(false)
  } finally {
    await lab().inet.startDns()
  }
})

test('a second daemon is refused with one clear line', async () => {
  await guard(lab(), { config: CONFIG })
  const second = await lab().cli(['run', '--config', lab().embargod.configFile])
  expect(second.code).toBe(1)
  expect(second.stdout + second.stderr).toMatch(/another embargod runs on this host/)
  expect((second.stdout + second.stderr).trim().split('\n')).toHaveLength(1)
})

describe('state', () => {
  test('that is corrupt is moved aside', async () => {
    const from = await inside(lab())
    const daemon = await openedOnce(from)
    await daemon.term()
    for (const file of ['addresses.json', 'counters.json', 'generation.json', 'temporary.json'])
      await writeFile(state(file), '{"version":1,"writ')
    const again = await guard(lab(), { config: CONFIG })
    const files = await readdir(lab().embargod.stateDirectory)
    for (const name of ['addresses', 'counters', 'generation', 'temporary'])
      expect(
        files.some((file) => file.startsWith(`${name}.corrupt-`)),
        name,
      ).toBe(true)
    expect(again.logs).toContain('moved aside')
    await lab().waitFor('the allowed name passes', () => passes(from))
    expect(await refused(from)).toBe(true)
  })

  test('from a newer version is left alone', async () => {
    const from = await inside(lab())
    const daemon = await openedOnce(from)
    await daemon.term()
    const newer = '{"version":99,"writtenAtMs":1,"body":{"made":"later"}}\n'
    await writeFile(state('addresses.json'), newer)
    await guard(lab(), { config: CONFIG, wait: false })
    await lab().waitFor('it says so', async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && /later (version|embargod)/.test(stdout)
    })
    await lab().waitFor('the allowed name passes', () => passes(from))
    expect(await refused(from)).toBe(true)
    expect(await readFile(state('addresses.json'), 'utf8')).toBe(newer)
  })

  test('that cannot be written, since the disk is full, is a trouble and no end', async () => {
    const from = await inside(lab())
    await lab().host(['mkdir', '-p', '/run/small'])
    await lab().host(['mount', '-t', 'tmpfs', '-o', 'size=32k', 'tmpfs', '/run/small'])
    await lab().host(['dd', 'if=/dev/zero', 'of=/run/small/filler', 'bs=4k'], { okExitCodes: [1] })
    await guard(lab(), { config: `${CONFIG}\nstate: /run/small/state`, wait: false })
    await lab().waitFor('it says so', async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && stdout.includes('the disk is full')
    })
    await lab().waitFor('the allowed name passes', () => passes(from))
    expect(await refused(from)).toBe(true)
    await lab().host(['umount', '-l', '/run/small'])
    await lab().host(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', '/run/small'])
    await lab().cli(['reload'])
    await lab().waitFor(
      'with room it is healthy',
      async () => (await lab().cli(['status'])).code === 0,
      40_000,
    )
    await lab().host(['umount', '-l', '/run/small'])
  })
})

describe('a bad config at the start', () => {
  test('is replaced by the last accepted one', async () => {
    const from = await inside(lab())
    const env = { STATE_DIRECTORY: lab().embargod.stateDirectory }
    const daemon = await openedOnce(from)
    await daemon.term()
    await reboot(from)
    const again = await guard(lab(), { config: 'allow: [api.example, "a..b"]', env, wait: false })
    await lab().waitFor('the accepted policy stands', () => passes(from), 15_000)
    expect(await refused(from)).toBe(true)
    expect((await fetchPage(from, 'http://203.0.113.11/', { timeoutMs: 1000 })).code).not.toBe(0)
    expect(await lab().cli(['status'])).toMatchObject({ code: 4 })
    expect((await scrape(lab())).value('config_last_reload_successful')).toBe(0)
    expect(again.logs).toContain('a..b')
    await again.hup('allow: [api.example]')
    await lab().waitFor('a good file heals', async () => (await lab().cli(['status'])).code === 0)
  })

  test('with none accepted closes the host and exits with 2', async () => {
    const from = await inside(lab())
    await forgetRules()
    expect(await passes(from)).toBe(true)
    const env = { STATE_DIRECTORY: lab().embargod.stateDirectory }
    const daemon = await guard(lab(), { config: 'allow: ["a..b"]', env, wait: false })
    expect(await daemon.ended).toBe(2)
    expect(daemon.logs).toContain('a..b')
    const flood = await steadyFlood(lab(), from)
    expect(await passes(from, 1000)).toBe(false)
    expect(await flood.stop()).toBe(0)
  })

  test('with rules standing leaves them', async () => {
    const from = await inside(lab())
    const daemon = await openedOnce(from)
    await daemon.term()
    await rm(lab().embargod.stateDirectory, { recursive: true, force: true })
    const flood = await steadyFlood(lab(), from, [4])
    const env = { STATE_DIRECTORY: lab().embargod.stateDirectory }
    const bad = await guard(lab(), { config: 'allow: ["a..b"]', env, wait: false })
    expect(await bad.ended).toBe(2)
    expect(await flood.stop()).toBe(0)
  })
})

test('a config file that others can write is refused like a bad one', async () => {
  await guard(lab(), { config: CONFIG })
  await chmod(lab().embargod.configFile, 0o666)
  const { code, stdout, stderr } = await lab().cli(['reload'])
  expect(code).toBe(2)
  expect(stdout + stderr).toMatch(/writ/)
})
