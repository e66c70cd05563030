import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { steadyFlood } from './leaks.ts'
import { guard, inside } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'
import { Tools } from './tools.ts'
import { fetchPage } from './web.ts'

/** Hosts on which something is missing, taken, or not as it should be. */
const lab = useLab({ name: 'missing' })
let tools: Tools

beforeAll(async () => {
  tools = await Tools.install(lab(), 'missing')
})

const CONFIG = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]'
const passes = async (from: LabContainer, address = '203.0.113.12'): Promise<boolean> =>
  (await fetchPage(from, `http://${address}/`, { timeoutMs: 1000 })).code === 0

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

describe('a program that is missing', () => {
  test.each([
    ['ipset', 'ipset'],
    ['iptables-restore', 'iptables'],
    ['ip6tables-save', 'iptables'],
  ])('%s: one line says so and how to get it', async (program, packageName) => {
    const env = { PATH: await tools.without(lab(), program) }
    const daemon = await guard(lab(), { config: CONFIG, env, wait: false })
    expect(await daemon.ended).toBe(1)
    expect(lines(daemon.logs)).toEqual([
      expect.stringMatching(new RegExp(`${program}.*apt-get install ${packageName}`)),
    ])
  })

  test('nft: the rules stand, and the missing second guard is a trouble', async () => {
    const from = await inside(lab())
    await lab().cli(['cleanup', '--yes'])
    await guard(lab(), { config: CONFIG, env: { PATH: await tools.without(lab(), 'nft') }, wait: false })
    await lab().waitFor('it says so', async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && stdout.includes('second guard')
    })
    const metrics = await scrape(lab())
    expect(metrics.value('enforcing', { guard: 'rules' })).toBe(1)
    expect(metrics.value('enforcing', { guard: 'backstop' })).toBe(0)
    expect(metrics.value('unprotected', { reason: 'no-second-guard' })).toBeGreaterThan(0)
    const flood = await steadyFlood(lab(), from)
    expect(await passes(from)).toBe(true)
    expect(await flood.stop()).toBe(0)
  })

  test('conntrack: it enforces, also a change of rights', async () => {
    const from = await inside(lab())
    await guard(lab(), {
      config: CONFIG,
      env: { PATH: await tools.without(lab(), 'conntrack') },
      wait: false,
    })
    await lab().waitFor('it enforces', () => passes(from))
    await lab().embargod.writeConfig('allow: [{ cidr: 203.0.113.14, ports: [80/tcp] }]')
    const { code, stdout, stderr } = await lab().cli(['reload'])
    expect([0, 1], stdout + stderr).toContain(code)
    await lab().waitFor('the new policy stands', () => passes(from, '203.0.113.14'))
    expect(await passes(from)).toBe(false)
  })
})

test('not root: one clear line', async () => {
  await lab().embargod.writeConfig(CONFIG)
  const program = process.env['EMBARGOD_LAB_PROGRAM']
  if (program === undefined) return
  const { stderr, exitCode } = await lab().host(
    [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      program,
      'run',
      '--config',
      '/dev/null',
    ],
    { okExitCodes: [1] },
  )
  expect(exitCode).toBe(1)
  expect(lines(stderr)).toEqual([expect.stringMatching(/root/)])
})

describe('a stranger with our name', () => {
  async function nameOfSet(): Promise<string> {
    const daemon = await guard(lab(), { config: CONFIG })
    const { stdout } = await lab().host(['ipset', 'save'])
    const name = / (embargod-common-\S+-4) 203\.0\.113\.12/.exec(stdout)?.[1]
    await daemon.term()
    expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
    return name ?? ''
  }

  test('that nobody uses makes room', async () => {
    const from = await inside(lab())
    const name = await nameOfSet()
    await lab().host(['ipset', 'create', name, 'hash:ip'])
    await guard(lab(), { config: CONFIG })
    expect(await passes(from)).toBe(true)
    expect(await passes(from, '203.0.113.66')).toBe(false)
  })

  test('that a rule uses is a trouble that is told, and opens nothing', async () => {
    const from = await inside(lab())
    const name = await nameOfSet()
    await lab().host(['ipset', 'create', name, 'hash:ip'])
    await lab().host(['iptables', '-A', 'OUTPUT', '-m', 'set', '--match-set', name, 'dst', '-j', 'RETURN'])
    onTestFinished(async () => {
      await lab().host(['iptables', '-F', 'OUTPUT'])
    })
    await guard(lab(), { config: CONFIG, wait: false })
    await lab().waitFor('it says which', async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && stdout.includes(name)
    })
    await lab().host(['iptables', '-F', 'OUTPUT'])
    await lab().waitFor(
      'when it is free all is well',
      async () => (await lab().cli(['status'])).code === 0,
      40_000,
    )
    expect(await passes(from)).toBe(true)
    expect(await passes(from, '203.0.113.66')).toBe(false)
  })
})

test('more networks than a set holds by default, then few, then more', async () => {
  const from = await inside(lab())
  const list = join(lab().directory, 'embargod', 'many.txt')
  const many = (count: number, first: string) =>
    `${first}\n${Array.from({ length: count }, (_, n) => `45.${64 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`).join('\n')}\n`
  await writeFile(list, many(70_000, '203.0.113.12'), { mode: 0o600 })
  await guard(lab(), { config: `allow: [{ file: ${list}, ports: [80/tcp] }]` })
  expect(await passes(from)).toBe(true)
  await writeFile(list, '203.0.113.14\n')
  expect(await lab().cli(['reload'])).toMatchObject({ code: 0 })
  expect(await passes(from)).toBe(false)
  expect(await passes(from, '203.0.113.14')).toBe(true)
  await writeFile(list, many(140_000, '203.0.113.15'))
  const reloaded = await lab().cli(['reload'], { timeoutMs: 60_000 })
  expect(reloaded, reloaded.stderr.slice(-500)).toMatchObject({ code: 0 })
  expect(await passes(from, '203.0.113.15')).toBe(true)
  expect(await passes(from, '203.0.113.14')).toBe(false)
})

test('a taken metrics port keeps nobody from guarding, and is tried again', async () => {
  const from = await inside(lab())
  const squatter = lab().service('host', [
    process.execPath,
    '-e',
    "require('net').createServer().listen(9464, '127.0.0.1', () => console.log('up'))",
  ])
  await lab().waitFor('the port is taken', () => squatter.log.includes('up'))
  await guard(lab(), { config: CONFIG, wait: false })
  await lab().waitFor('it says so', async () => {
    const { code, stdout } = await lab().cli(['status'])
    return code === 4 && stdout.includes('9464')
  })
  await lab().waitFor('it enforces', () => passes(from))
  expect(await passes(from, '203.0.113.66')).toBe(false)
  await squatter.stop()
  await lab().waitFor('the port is had', async () => (await lab().cli(['status'])).code === 0, 20_000)
  expect((await scrape(lab())).value('enforcing', { guard: 'rules' })).toBe(1)
})

test('IPv6 switched off in the kernel', async () => {
  const from = await inside(lab())
  const set = (value: 0 | 1) =>
    lab().host([
      'sysctl',
      '-qw',
      ...['all', 'default'].map((scope) => `net.ipv6.conf.${scope}.disable_ipv6=${value}`),
    ])
  await set(1)
  try {
    await guard(lab(), { config: CONFIG })
    expect(await passes(from)).toBe(true)
    expect(await passes(from, '203.0.113.66')).toBe(false)
  } finally {
    await set(0)
  }
})
