import { describe, expect, it } from 'vitest'
import type { Action, Io } from '../../../src/cli/command.ts'
import { runCommandLine } from '../../../src/cli/program.ts'
import type { Actions } from '../../../src/cli/program.ts'
import { ControlError } from '../../../src/control/error.ts'

const NAMES = [
  'run',
  'check',
  'plan',
  'status',
  'rules',
  'explain',
  'allow',
  'verify',
  'reload',
  'confirm',
  'cleanup',
  'setup-dns',
  'schema',
] as const

interface Options {
  readonly answer?: () => Promise<number>
  readonly confirm?: (question: string) => Promise<boolean>
}

/** Types a command line; every command only notes that it was called, and with what. */
async function type(line: string, { answer = async () => 0, confirm }: Options = {}) {
  const calls: [command: string, args: unknown][] = []
  const out = { stdout: '', stderr: '' }
  const note =
    (command: string): Action<unknown> =>
    (args) => {
      calls.push([command, args])
      return answer()
    }
  const keyOf = (name: string): string => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
  const actions = Object.fromEntries(NAMES.map((name) => [keyOf(name), note(name)])) as unknown as Actions
  const io: Io = {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    isTTY: false,
    color: false,
    ...(confirm ? { confirm } : {}),
  }
  const exitCode = await runCommandLine(line.split(' ').filter(Boolean), actions, '1.2.3', io)
  return { exitCode, calls, ...out }
}

const CONFIG = '/etc/embargod/embargod.yaml'

describe('the command line', () => {
  it.each<[line: string, command: string, args: unknown]>([
    ['run', 'run', { config: CONFIG }],
    ['run --config a.yaml', 'run', { config: 'a.yaml' }],
    ['check -c a.yaml', 'check', { config: 'a.yaml' }],
    ['plan --json', 'plan', { config: CONFIG, json: true }],
    ['status', 'status', { config: CONFIG, json: false }],
    ['rules --raw', 'rules', { raw: true }],
    [
      'explain web api.example.com:443',
      'explain',
      {
        config: CONFIG,
        source: 'web',
        destination: { host: 'api.example.com', port: 443, protocol: undefined },
        json: false,
      },
    ],
    [
      'explain web 203.0.113.9:53/udp --json',
      'explain',
      {
        config: CONFIG,
        source: 'web',
        destination: { host: '203.0.113.9', port: 53, protocol: 'udp' },
        json: true,
      },
    ],
    [
      'explain web [2001:db8::1]:25/tcp',
      'explain',
      {
        config: CONFIG,
        source: 'web',
        destination: { host: '2001:db8::1', port: 25, protocol: 'tcp' },
        json: false,
      },
    ],
    [
      'explain web 2001:db8::1',
      'explain',
      {
        config: CONFIG,
        source: 'web',
        destination: { host: '2001:db8::1', port: undefined, protocol: undefined },
        json: false,
      },
    ],
    [
      'explain web 203.0.113.9/icmp',
      'explain',
      {
        config: CONFIG,
        source: 'web',
        destination: { host: '203.0.113.9', port: undefined, protocol: 'icmp' },
        json: false,
      },
    ],
    [
      'allow api.example.com:443 --for 1h30m',
      'allow',
      { action: 'add', entry: 'api.example.com:443', forMs: 5_400_000 },
    ],
    ['allow --list', 'allow', { action: 'list' }],
    ['allow --revoke api.example.com', 'allow', { action: 'revoke', entry: 'api.example.com' }],
    ['verify', 'verify', { config: CONFIG }],
    ['reload', 'reload', {}],
    ['reload --confirm 90s', 'reload', { confirmMs: 90_000 }],
    ['run --confirm 1h', 'run', { config: CONFIG, confirmMs: 3_600_000 }],
    ['confirm', 'confirm', {}],
    ['cleanup --stop --yes', 'cleanup', { config: CONFIG, stop: true }],
    ['setup-dns', 'setup-dns', { address: undefined, file: undefined, restart: false, dryRun: false }],
    [
      'setup-dns --address 172.18.0.1 --file a.json --restart',
      'setup-dns',
      { address: '172.18.0.1', file: 'a.json', restart: true, dryRun: false },
    ],
    ['schema', 'schema', {}],
  ])('%s', async (line, command, args) => {
    const { exitCode, calls } = await type(line)
    expect({ exitCode, calls }).toEqual({ exitCode: 0, calls: [[command, args]] })
  })

  it.each([
    '',
    'fly',
    'run now',
    'status --yaml',
    'check --config',
    'reload --confirm',
    'reload --confirm soon',
    'reload --confirm 1s',
    'run --confirm 2h',
    'confirm now',
    'explain',
    'explain web',
    'explain web a:b',
    'explain web a:70000',
    'explain web a:0',
    'explain web [::1',
    'explain web :443',
    'allow',
    'allow a.example',
    'allow a.example --for soon',
    'allow a.example --for 0s',
    'allow a.example --for 31d',
    'allow a.example --list',
    'allow --list --revoke b.example',
    'setup-dns --address docker0',
    'setup-dns --address 127.0.0.53',
    'setup-dns --address 0.0.0.0',
    'setup-dns --address 2001:db8::1',
    'setup-dns --dry-run --restart',
    'setup-dns a.json',
  ])('"%s" is misuse: it says so and does nothing', async (line) => {
    const { exitCode, calls, stderr } = await type(line)
    expect({ exitCode, calls }).toEqual({ exitCode: 64, calls: [] })
    expect(stderr).not.toBe('')
  })

  it('cleanup asks, and does nothing where nobody can answer', async () => {
    const { exitCode, calls, stderr } = await type('cleanup')
    expect({ exitCode, calls }).toEqual({ exitCode: 1, calls: [] })
    expect(stderr).toContain('--yes')
  })

  it.each(['--help', 'help', 'status --help', 'help explain'])('%s helps on stdout', async (line) => {
    const { exitCode, stdout } = await type(line)
    expect(exitCode).toBe(0)
    expect(stdout).toContain('Usage: embargod')
  })

  it('names every command in its help', async () => {
    const { stdout } = await type('--help')
    for (const name of NAMES) expect(stdout).toMatch(new RegExp(`^  ${name}`, 'm'))
  })

  it('tells its version', async () =>
    expect(await type('--version')).toMatchObject({ exitCode: 0, stdout: '1.2.3\n' }))

  it("ends with the command's exit code", async () =>
    expect(await type('status', { answer: async () => 4 })).toMatchObject({ exitCode: 4 }))

  it('reports a failure on one line with its causes, made safe', async () => {
    const cause = new Error('lock held by \x1b[31m1234')
    const answer = () => Promise.reject(new Error('reading DOCKER-USER', { cause }))
    expect(await type('rules', { answer })).toMatchObject({
      exitCode: 1,
      stderr: 'embargod: reading DOCKER-USER: lock held by \\x1b[31m1234\n',
    })
  })

  it('ends as the daemon says', async () => {
    const answer = () => Promise.reject(new ControlError('no such entry', 2))
    expect(await type('allow --revoke x', { answer })).toMatchObject({
      exitCode: 2,
      stderr: 'embargod: no such entry\n',
    })
  })

  it.each([
    [true, 0, 1],
    [false, 1, 0],
  ])('cleanup asks on a terminal: %s', async (yes, exitCode, count) => {
    const typed = await type('cleanup', { confirm: async () => yes })
    expect([typed.exitCode, typed.calls.length]).toEqual([exitCode, count])
  })
})
