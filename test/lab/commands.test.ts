import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { beforeAll, describe, expect, test } from 'vitest'
import type { Daemon } from './embargod.ts'
import type { LabContainer } from './container.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** Every command as an operator types it: what it prints and how it ends. */
const lab = useLab({ name: 'commands' })

const EXAMPLE = fileURLToPath(new URL('../../deploy/embargod.example.yaml', import.meta.url))
const POLICY = 'allow: [allowed.example, "203.0.113.128/28:8080"]\nmetrics: { listen: 127.0.0.1:9464 }'
const WIDER = `${POLICY}\nnever: [203.0.113.200]`

const own = (): string => lab().embargod.configFile
const cli = (...args: string[]) => lab().cli(args)
const withConfig = (command: string, ...args: string[]) => cli(command, '--config', own(), ...args)

describe('with no daemon', () => {
  test.each<[what: string, argv: string[]]>([
    ['no command', []],
    ['an unknown command', ['enforce']],
    ['an unknown option', ['status', '--yaml']],
    ['an argument too many', ['rules', 'all']],
    ['explain without destination', ['explain', 'shop']],
    ['explain with a bad port', ['explain', 'shop', 'a.example:70000']],
    ['allow without a time', ['allow', 'a.example']],
    ['allow with a bad time', ['allow', 'a.example', '--for', 'long']],
    ['allow with two wishes', ['allow', 'a.example', '--for', '1h', '--list']],
  ])('misuse ends with 64 and one hint: %s', async (_what, argv) => {
    const { code, stdout, stderr } = await cli(...argv)
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' })
    expect(stderr).not.toMatch(/\n {4}at /)
    expect(stderr.trim()).not.toBe('')
  })

  test('--help and --version are no misuse', async () => {
    expect(await cli('--help')).toMatchObject({ code: 0, stdout: expect.stringContaining('explain') })
    expect(await cli('explain', '--help')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Exit codes'),
    })
    expect((await cli('--version')).stdout).toMatch(/^\d+\.\d+\.\d+/)
  })

  test('schema is JSON that knows every key of the example and no more', async () => {
    const { code, stdout } = await cli('schema')
    expect(code).toBe(0)
    const schema: { properties: Record<string, unknown>; additionalProperties: boolean } = JSON.parse(stdout)
    const example: Record<string, unknown> = parse(await readFile(EXAMPLE, 'utf8'))
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(Object.keys(example)))
    expect(schema.additionalProperties).toBe(false)
  })

  test('what needs the daemon says that there is none', async () => {
    await lab().embargod.writeConfig(POLICY)
    expect((await cli('status')).code).toBe(5)
    expect((await cli('status', '--json')).code).toBe(5)
    expect(await cli('reload')).toMatchObject({ code: 1, stderr: expect.stringContaining('not running') })
    expect(await cli('allow', 'a.example', '--for', '1h')).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('not running'),
    })
  })

  test('rules, explain and plan look at an untouched host and leave it so', async () => {
    const container = await lab().container({ name: 'early' })
    const before = await lab().dump()
    expect(await cli('rules')).toMatchObject({ code: 0, stdout: expect.stringContaining('no rule of ours') })
    expect(await withConfig('explain', 'early', '203.0.113.66')).toMatchObject({ code: 0 })
    const plan = await withConfig('plan')
    expect(plan.code).toBe(3)
    expect(plan.stdout).toContain('EMBARGOD')
    expect(uncounted(await lab().dump())).toBe(uncounted(before))
    await container.stop()
  })
})

describe('with the daemon', () => {
  let daemon: Daemon
  let shop: LabContainer

  beforeAll(async () => {
    await lab().network('shop', { ipv6: true })
    shop = await lab().container({ network: 'shop', name: 'web' })
    daemon = await lab().daemon({ config: POLICY })
    await lab().waitFor('the answers are in force', async () =>
      (await cli('status', '--json')).stdout.includes('2001:db8:f::10'),
    )
  })

  test('plan: nothing after an apply, changes for another file, problems for a bad one', async () => {
    expect(await withConfig('plan')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nothing to do'),
    })
    expect(JSON.parse((await withConfig('plan', '--json')).stdout)).toEqual({ changes: [] })
    const other = join(lab().directory, 'embargod', 'other.yaml')
    await lab().writeHostFile(other, `${WIDER}\nstate: ${lab().embargod.stateDirectory}\n`)
    const before = await lab().dump()
    const planned = await cli('plan', '--config', other)
    expect(planned.code).toBe(3)
    expect(planned.stdout).not.toBe('')
    const { changes }: { changes: string[] } = JSON.parse(
      (await cli('plan', '--config', other, '--json')).stdout,
    )
    expect(changes).toEqual(planned.stdout.trimEnd().split('\n'))
    expect(uncounted(await lab().dump())).toBe(uncounted(before))
    await lab().writeHostFile(other, 'allow: [a..b]\n')
    expect(await cli('plan', '--config', other)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(`${other}:1:9: `),
    })
  })

  test('status: healthy, and what an operator’s script reads', async () => {
    const human = await cli('status')
    expect(human.code).toBe(0)
    for (const word of ['healthy', 'shop', 'allowed.example', '203.0.113.10', 'dns-tunnel'])
      expect(human.stdout).toContain(word)
    const { code, stdout } = await cli('status', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      daemon: 'running',
      health: 'healthy',
      problems: [],
      pid: expect.any(Number),
      config: { file: own(), lastReloadSuccessful: true },
      docker: { connected: true },
      guards: [
        { guard: 'rules', enforcing: true },
        { guard: 'backstop', enforcing: true },
      ],
      networks: expect.arrayContaining([
        expect.objectContaining({ name: 'shop', guarded: true }),
        expect.objectContaining({ name: 'bridge', bridge: 'docker0', guarded: true }),
      ]),
      policies: [{ policy: 'common', addresses: { ipv4: 2, ipv6: 1 }, entries: 2 }],
      names: [
        {
          name: 'allowed.example',
          state: 'fresh',
          addresses: expect.arrayContaining([
            expect.objectContaining({ address: '203.0.113.10', expiresAtMs: expect.any(Number) }),
          ]),
        },
      ],
      temporary: [],
      drift: { repairs: {} },
      lastReconcile: { atMs: expect.any(Number) },
      unprotected: expect.arrayContaining([expect.objectContaining({ reason: 'dns-tunnel' })]),
    })
  })

  test('status: degraded while the file is refused', async () => {
    await daemon.hup('nonsense: 1')
    await lab().waitFor('the refusal shows', async () => (await cli('status')).code === 4)
    expect((await cli('status')).stdout).toContain('REFUSED')
    const { stdout } = await cli('status', '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      daemon: 'running',
      health: 'degraded',
      config: { lastReloadSuccessful: false },
    })
    await lab().embargod.writeConfig(POLICY)
    expect(await cli('reload')).toMatchObject({ code: 0 })
    expect((await cli('status')).code).toBe(0)
  })

  test('rules: numbered, in words, with counters, both families; raw as the kernel has it', async () => {
    await fetchPage(shop, 'http://203.0.113.66/', { timeoutMs: 1000 })
    const { code, stdout } = await cli('rules')
    expect(code).toBe(0)
    for (const family of ['IPv4', 'IPv6']) {
      const section = stdout.slice(stdout.indexOf(`${family} (iptables-`)).split('\n\n')[0] ?? ''
      const numbers = section.split('\n').flatMap((line) => /^ *(\d+) {2}/.exec(line)?.[1] ?? [])
      expect(numbers.map(Number)).toEqual(numbers.map((_, index) => index + 1))
      expect(numbers.length).toBeGreaterThan(20)
      // Up to 20.10 the engine makes no DOCKER-USER for IPv6.
      expect(section).toMatch(/filter (DOCKER-USER|FORWARD)/)
      for (const word of ['PACKETS', 'BYTES', 'cloud metadata', 'not allowed by common'])
        expect(section).toContain(word)
    }
    expect(stdout).toMatch(/^ *\d+ +filter EMBARGOD-P-COMMON +[1-9]\d* .*not allowed by common$/m)
    expect(stdout).toMatch(/^ *\d+ +filter DOCKER-USER .*containers reach what is allowed and nothing else$/m)
    expect(stdout).toContain('Backstop')
    const raw = await cli('rules', '--raw')
    expect(raw.code).toBe(0)
    const chain = await lab().host(['iptables', '-S', 'EMBARGOD-JUDGE'])
    for (const line of chain.stdout.trim().split('\n').slice(1)) expect(raw.stdout).toContain(line)
    expect(raw.stdout).toContain('table inet embargod-guard')
  })

  test('explain: allowed 0, denied 6, unknown source 1, and the rule that decides', async () => {
    expect(await withConfig('explain', 'web', 'allowed.example')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('allow common'),
    })
    expect(await withConfig('explain', 'shop', '[2001:db8:f::10]:443/tcp')).toMatchObject({ code: 0 })
    expect(await withConfig('explain', 'web', '203.0.113.66:53/udp')).toMatchObject({
      code: 6,
      stdout: expect.stringContaining('not allowed by common'),
    })
    const json = await withConfig('explain', 'web', '169.254.169.254:80', '--json')
    expect(json.code).toBe(6)
    expect(JSON.parse(json.stdout)).toMatchObject({
      allowed: false,
      source: 'web',
      network: 'shop',
      destination: '169.254.169.254',
      port: 80,
      protocol: 'tcp',
      because: expect.stringContaining('cloud metadata'),
    })
    expect(await withConfig('explain', 'nobody', '203.0.113.66')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nobody'),
    })
  })

  test('allow: opens for a while, lists, revokes, ends by itself', async () => {
    const reaches = async (): Promise<boolean> =>
      (await fetchPage(shop, 'http://api.example/', { timeoutMs: 1500 })).code === 0
    expect(await reaches()).toBe(false)
    expect(await cli('allow', 'a..b', '--for', '1h')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a..b'),
    })
    expect(await cli('allow', '--revoke', 'api.example')).toMatchObject({ code: 2 })
    expect(await cli('allow', 'api.example', '--for', '1h')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('api.example'),
    })
    await lab().waitFor('the entry opens', reaches)
    expect((await cli('allow', '--list')).stdout).toContain('api.example')
    expect((await cli('status')).stdout).toContain('TEMPORARY')
    expect(await cli('allow', '--revoke', 'api.example')).toMatchObject({ code: 0 })
    expect(await reaches()).toBe(false)
    expect(await cli('allow', 'api.example', '--for', '4s')).toMatchObject({ code: 0 })
    await lab().waitFor('the entry opens again', reaches, 4000)
    await lab().waitFor('the entry ends by itself', async () => !(await reaches()), 20_000)
    expect((await cli('allow', '--list')).stdout).toContain('nothing')
  })

  test('plan and explain with the daemon down: kernel and state say the same', async () => {
    await daemon.term()
    expect(await withConfig('plan')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('nothing to do'),
    })
    expect(await withConfig('explain', 'web', 'allowed.example')).toMatchObject({ code: 0 })
    expect(await withConfig('explain', 'web', 'forbidden.example')).toMatchObject({ code: 6 })
    expect((await cli('rules')).stdout).toContain('not allowed by common')
    await lab().embargod.writeConfig(WIDER)
    expect((await withConfig('plan')).code).toBe(3)
    expect((await cli('status')).code).toBe(5)
  })
})

/** A dump of the firewall without counters, time-outs and the clock. */
const uncounted = (text: string): string =>
  text
    .replaceAll(/\[\d+:\d+\]/g, '[]')
    .replaceAll(/^#.*$/gm, '')
    .replaceAll(/timeout \d+|packets \d+|bytes \d+|Size in memory: \d+/g, '')
