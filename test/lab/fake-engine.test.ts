import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import {
  containerJson,
  defaultBridgeJson,
  ENGINE_28,
  engineOn,
  ENGINE_ROOTLESS,
  networkJson,
} from '../support/docker-json.ts'
import { FakeDocker } from '../support/fake-docker.ts'
import { Neighbour } from './neighbour.ts'
import { guard } from './scene.ts'
import { scrape } from './scrape.ts'
import { useLab } from './shared-lab.ts'

/** The real kernel with an engine that says what no engine here can be made to say. */
const lab = useLab({ name: 'fake-engine', startEngine: false })
let engine: FakeDocker

const FORBIDDEN = '203.0.113.66'
const config = () => `docker: { socket: ${engine.socket} }\nallow: [{ cidr: 203.0.113.12, ports: [80/tcp] }]`

beforeEach(async () => {
  engine = await FakeDocker.create()
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
})
afterEach(() => engine.remove())

/** A machine on a bridge that the engine says is one of its networks. */
async function machineOn(bridge: string): Promise<Neighbour> {
  const machine = await Neighbour.behind(lab(), bridge)
  onTestFinished(() => machine.remove())
  return machine
}

const subnetOf = ({ address }: Neighbour): string => address.replace(/\d+$/, '0/24')
const pools = (machine: Neighbour) => ({ IPAM: { Config: [{ Subnet: subnetOf(machine) }] } })

describe('an engine that does not ask DOCKER-USER', () => {
  test.each([
    ['a firewall that nobody knows', engineOn('ebpf'), 'engine-backend', /ebpf.*firewall-backend.*iptables/],
    ['rootless', ENGINE_ROOTLESS, 'rootless', /rootless.*rootful/],
  ])('%s: degraded with one clear line, and closed', async (_, facts, reason, line) => {
    const machines = [await machineOn('docker0'), await machineOn('shop0')]
    for (const machine of machines) expect(await machine.reaches(FORBIDDEN)).toBe(true)
    const [first, second] = machines
    if (!first || !second) throw new Error('no machines')
    engine.addNetwork(defaultBridgeJson(pools(first)))
    engine.addNetwork(
      networkJson({ ...pools(second), Options: { 'com.docker.network.bridge.name': 'shop0' } }),
    )
    engine.engine = facts
    await engine.appear()
    const daemon = await guard(lab(), { config: config(), wait: false })

    await lab().waitFor('it is degraded', async () => (await lab().cli(['status'])).code === 4)
    await lab().waitFor(
      'both guards stand',
      async () => (await scrape(lab())).value('enforcing', { guard: 'backstop' }) === 1,
    )
    const report: { problems: readonly string[] } = JSON.parse((await lab().cli(['status', '--json'])).stdout)
    expect(report.problems).toEqual([expect.stringMatching(line)])
    expect((await scrape(lab())).value('unprotected', { reason })).toBe(1)
    const warned = daemon.logs.split('\n').filter((text) => /"level":"(warn|error)"/.test(text))
    // What no host is protected from is said on every one.
    expect(warned.filter((text) => !text.includes('"msg":"not protected"'))).toEqual([
      expect.stringMatching(line),
    ])

    await lab().farEnd.reset()
    const floods = machines.map((machine) => machine.floods(FORBIDDEN))
    await sleep(2000)
    for (const flood of floods) {
      expect(flood.exitCode, 'it still floods').toBeUndefined()
      await flood.stop('SIGKILL')
    }
    expect(await lab().farEnd.count(FORBIDDEN)).toBe(0)

    await engine.disappear()
    engine.engine = ENGINE_28
    await engine.appear()
    await lab().waitFor('with another engine it is healthy', async () => {
      return (await lab().cli(['status'])).code === 0
    })
    expect((await scrape(lab())).value('unprotected', { reason })).toBe(0)
  })
})

/** What would change how a terminal shows the rest; line breaks and tabs are the program's own. */
const UNSAFE = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u
/** Escape sequences, a title, right-to-left, a zero-width space, a line break and a tag; and words for a shell and a rules file. */
const HOSTILE =
  'evil\u001B[2J\u001B]0;owned\u0007\u202Etxt.\u200Bexe\r\nCOMMIT\n-A FORWARD -j ACCEPT\u{E0041} "$(touch /run/owned)`id`\' ; --'
const WORDS = /evil|owned|COMMIT\n-A|touch/

describe('hostile text from the engine', () => {
  test('never reaches a rule, and a terminal only escaped', async () => {
    const machine = await machineOn('shop0')
    engine.addNetwork(
      networkJson({
        Name: HOSTILE,
        ...pools(machine),
        Options: { 'com.docker.network.bridge.name': 'shop0' },
        Labels: { [HOSTILE]: HOSTILE },
      }),
    )
    for (const [index, bridge] of [HOSTILE, 'br0;id', '--help', 'a/../b', '+', 'eth+'].entries())
      engine.addNetwork(
        networkJson({
          Id: String(index).repeat(64),
          Name: `odd-${index}`,
          Options: { 'com.docker.network.bridge.name': bridge },
        }),
      )
    engine.addContainer(
      containerJson({
        name: HOSTILE,
        Config: { Labels: { [HOSTILE]: HOSTILE, 'embargod.policy': HOSTILE } },
        Mounts: [{ Type: 'bind', Source: `/${HOSTILE}`, Destination: '/x', RW: true }],
        host: { Privileged: true, NetworkMode: 'host', CapAdd: [HOSTILE], Dns: ['203.0.113.53', HOSTILE] },
        network: {
          Ports: { [`80/${HOSTILE}`]: [{ HostIp: HOSTILE, HostPort: '8080' }] },
          Networks: { [HOSTILE]: { IPAddress: machine.address, NetworkID: networkJson()['Id'] } },
        },
      }),
    )
    await engine.appear()
    const daemon = await guard(lab(), { config: config() })
    expect(await machine.reaches('203.0.113.12', 5)).toBe(true)
    expect(await machine.reaches(FORBIDDEN)).toBe(false)
    await lab().waitFor('all of it is known', async () => {
      const page = await scrape(lab())
      return (page.value('unprotected', { reason: 'privileged' }) ?? 0) === 1
    })
    engine.emitRaw(`{"Type":"evil","Action":${JSON.stringify(HOSTILE)},"Actor":{"ID":"x"}}\n`)

    const kernel = [
      ['iptables-save'],
      ['ip6tables-save'],
      ['ipset', 'save'],
      ['nft', 'list', 'ruleset'],
    ] as const
    for (const argv of kernel) {
      const { stdout } = await lab().host(argv)
      expect(stdout, argv.join(' ')).not.toMatch(UNSAFE)
      if (argv[0] !== 'ipset') expect(stdout, argv.join(' ')).not.toMatch(WORDS)
      // Sets name their networks in comments, which nothing reads as more than words.
      else
        for (const line of stdout.trim().split('\n'))
          expect(line).toMatch(/^(create|add) embargod-[\w-]+ [^$`;'<>|&]*$/)
    }
    expect((await lab().host(['sh', '-c', 'ls /run'])).stdout).not.toContain('owned')

    const commands = [
      ['status'],
      ['status', '--json'],
      ['rules'],
      ['rules', '--raw'],
      ['plan', '--config', lab().embargod.configFile],
      ['explain', HOSTILE, FORBIDDEN],
      ['explain', HOSTILE, FORBIDDEN, '--json'],
      ['explain', `${HOSTILE}?`, FORBIDDEN],
      ['explain', 'shop0', HOSTILE],
      ['allow', HOSTILE, '--for', '1h'],
      ['verify'],
      [HOSTILE],
      ['status', `--${HOSTILE}`],
    ]
    for (const argv of commands) {
      const { code, stdout, stderr } = await lab().cli(argv)
      expect(stdout, `${argv.join(' ')} (${code}), stdout`).not.toMatch(UNSAFE)
      expect(stderr, `${argv.join(' ')} (${code}), stderr`).not.toMatch(UNSAFE)
      expect(stdout + stderr).not.toBe('')
      expect(stderr).not.toMatch(/\n {4}at /)
    }
    // It is shown, or all of this would prove nothing.
    expect((await lab().cli(['status'])).stdout).toContain('evil\\x1b[2J')
    const page = (await lab().host(['curl', '-sS', 'http://127.0.0.1:9464/metrics'])).stdout
    expect(page).not.toMatch(UNSAFE)
    expect(daemon.logs).not.toMatch(UNSAFE)
    expect((await lab().cli(['status'])).code).toBe(0)
  })
})
