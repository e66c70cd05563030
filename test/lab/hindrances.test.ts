import { beforeAll, expect, test } from 'vitest'
import type { Argv } from './box.ts'
import { programArgv } from './embargod.ts'
import { useLab } from './shared-lab.ts'

/** What the program says where it cannot work: one line that tells what is missing and how to get it. */
const lab = useLab({ name: 'hindrances', startEngine: false })

/** Where anybody may read it; the sources are wherever they are. */
let program: Argv

beforeAll(async () => {
  const [node, ...rest] = programArgv()
  program = [node, ...rest]
  const [bundle] = rest
  if (rest.length === 1 && bundle !== undefined) {
    await lab().host(['install', '-m', '0755', bundle, '/run/embargod.cjs'])
    program = [node, '/run/embargod.cjs']
  }
  await lab().embargod.writeConfig('allow: [allowed.example]')
})

const run = (prefix: readonly string[], args: readonly string[]) => {
  const argv: Argv = ['env', ...prefix, ...program, ...args]
  return lab().host(argv, { okExitCodes: [1, 2, 5, 64], timeoutMs: 30_000 })
}
const runDaemon = (...prefix: string[]) => run(prefix, ['run', '--config', lab().embargod.configFile])

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

test('not root', async () => {
  const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']
  const daemon = await runDaemon(...nobody)
  expect(daemon.exitCode).toBe(1)
  expect(lines(daemon.stderr)).toEqual([expect.stringMatching(/^embargod: not root: .*sudo/)])
  for (const command of [['status'], ['rules'], ['plan'], ['cleanup', '--yes']]) {
    const { exitCode, stderr, stdout } = await run(nobody, command)
    expect(exitCode, command.join(' ')).not.toBe(0)
    expect(lines(stdout + stderr), command.join(' ')).toHaveLength(1)
    expect(stderr, command.join(' ')).toMatch(/^embargod: (not root: .*sudo|the daemon is not running)/)
  }
})

test('root without NET_ADMIN', async () => {
  const { exitCode, stderr } = await runDaemon('setpriv', '--bounding-set=-net_admin')
  expect(exitCode).toBe(1)
  expect(lines(stderr)).toEqual([expect.stringMatching(/NET_ADMIN.*--cap-add/)])
})

test.each([
  ['ipset', ['ipset'], /no program ipset.*apt-get install ipset/],
  ['iptables-restore', ['iptables-restore'], /no program iptables-restore.*apt-get install iptables/],
  ['ip', ['ip'], /no program ip,.*apt-get install iproute2/],
] as const)('without %s', async (_name, missing, message) => {
  const path = await pathWithout(missing)
  const { exitCode, stderr } = await runDaemon(`PATH=${path}`)
  expect(exitCode).toBe(1)
  expect(lines(stderr)).toEqual([expect.stringMatching(message)])
})

test('without several tools: a line each, and other commands say so too', async () => {
  const path = await pathWithout(['ipset', 'iptables-save', 'ip6tables-save'])
  const { exitCode, stderr } = await runDaemon(`PATH=${path}`)
  expect(exitCode).toBe(1)
  expect(lines(stderr)).toHaveLength(3)
  const rules = await run([`PATH=${path}`], ['rules'])
  expect(rules.exitCode).toBe(1)
  expect(rules.stderr).toBe(stderr)
})

test('a second daemon on the same host is refused in one line', async () => {
  const daemon = await lab().daemon({ config: 'allow: [allowed.example]', wait: false })
  await lab().waitFor('the first one runs', async () => (await lab().cli(['status'])).code !== 5)
  const second = await runDaemon()
  expect(second.exitCode).toBe(1)
  expect(lines(second.stderr)).toEqual([expect.stringContaining('another embargod runs')])
  expect(await daemon.term()).toBe(0)
})

let paths = 0
/** A PATH with every program of the host but these. */
async function pathWithout(missing: readonly string[]): Promise<string> {
  const folder = `/run/path-${(paths += 1)}`
  await lab().host([
    'sh',
    '-c',
    [
      `mkdir ${folder}`,
      `ln -s /usr/sbin/* /usr/bin/* ${folder}/ 2>/dev/null`,
      `rm ${missing.map((name) => `${folder}/${name}`).join(' ')}`,
    ].join('; '),
  ])
  return folder
}
