import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { SetupDnsArgs } from '../../../src/cli/setup-dns.ts'
import { setupDnsAction } from '../../../src/inspect/setup-dns.ts'
import type { Address } from '../../../src/net/types.ts'
import { ToolError, type Run } from '../../../src/system/exec.ts'
import { parseDockerdArgv } from '../../../src/workloads/engine-config/dockerd-process.ts'

let directory = ''
let file = ''
const BACKUP = 'daemon.json.embargod-backup'
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'embargod-setup-dns-'))
  file = join(directory, 'daemon.json')
})
afterEach(() => rm(directory, { recursive: true }))

const failure = (kind: ToolError['kind'], stderr: string): ToolError =>
  new ToolError(stderr, kind, [], undefined, stderr, '')

/** Tools that fail as they are told to; the action's output and what was run. */
async function setup(
  args: Partial<SetupDnsArgs> = {},
  {
    tools = {},
    flags = [],
    isRoot = true,
  }: { tools?: Record<string, Error>; flags?: string[]; isRoot?: boolean } = {},
) {
  const ran: string[] = []
  const run: Run = async ([program]) => {
    ran.push(program)
    const error = tools[program]
    if (error) throw error
    return { stdout: '[]', stderr: '', exitCode: 0 }
  }
  const action = setupDnsAction({
    run,
    isRoot: () => isRoot,
    dockerds: async () => [parseDockerdArgv(['dockerd', '--config-file', file, ...flags], 1)],
  })
  let [stdout, stderr] = ['', '']
  const exitCode = await action(
    { address: '172.17.0.1' as Address, file: undefined, restart: false, dryRun: false, ...args },
    {
      stdout: { write: (text) => (stdout += text) },
      stderr: { write: (text) => (stderr += text) },
      isTTY: false,
      color: false,
    },
  )
  return { exitCode, stdout, stderr, ran }
}

const AFTER = '{"dns": ["172.17.0.1"]}'

test('the file as it was first is kept, whatever is written later', async () => {
  await writeFile(file, '{"dns": ["192.0.2.1"]}')
  expect((await setup()).stdout).toContain('takes the place of ["192.0.2.1"]')
  expect(await readFile(file, 'utf8')).toBe(AFTER)
  expect((await setup({ address: '172.18.0.1' as Address })).exitCode).toBe(0)
  expect(await readFile(join(directory, BACKUP), 'utf8')).toBe('{"dns": ["192.0.2.1"]}')
  expect((await readdir(directory)).toSorted()).toEqual(['daemon.json', BACKUP])
})

test('Docker is restarted where that was asked, and only for another file', async () => {
  expect((await setup({ restart: true })).ran).toEqual(['dockerd', 'systemctl'])
  const again = await setup({ restart: true })
  expect(again).toMatchObject({ exitCode: 0, ran: [] })
  expect(again.stdout).toContain('already')
})

test('a restart that fails is told apart from a file that was not written', async () => {
  const { exitCode, stderr } = await setup(
    { restart: true },
    { tools: { systemctl: failure('failed', 'no unit') } },
  )
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: 'embargod: the file is written, but Docker was not restarted: no unit\n',
  })
  expect(await readFile(file, 'utf8')).toContain('172.17.0.1')
})

test.each([
  ['is not there', failure('missing', 'dockerd: no such program')],
  ['is too old to look', failure('failed', 'unknown flag: --validate\nSee dockerd --help')],
])('an engine that %s is no hindrance', async (_title, error) => {
  expect(await setup({}, { tools: { dockerd: error } })).toMatchObject({ exitCode: 0 })
})

test.each<[string, Parameters<typeof setup>, string]>([
  ['the engine refuses it', [{}, { tools: { dockerd: failure('failed', 'bad option') } }], 'left as it is'],
  ['the engine hangs', [{}, { tools: { dockerd: failure('timeout', 'no answer') } }], 'left as it is'],
  ['the engine has a flag', [{}, { flags: ['--dns', '192.0.2.1'] }], 'dockerd runs with --dns 192.0.2.1'],
  ['docker0 is not there', [{ address: undefined }, {}], '--address'],
  ['not root', [{}, { isRoot: false }], 'not root'],
])('nothing is written when %s', async (_title, [args, facts], message) => {
  await writeFile(file, '{"dns": []}')
  await expect(setup(args, facts)).rejects.toThrow(message)
  expect(await readFile(file, 'utf8')).toBe('{"dns": []}')
  expect(await readdir(directory)).toEqual(['daemon.json'])
})

test('what is not text, or no file, is not written over', async () => {
  await writeFile(file, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))
  await expect(setup()).rejects.toThrow('reading')
  await expect(setup({ file: directory })).rejects.toThrow('reading')
})

test('a flag has no say about the file of another engine', async () => {
  const other = join(directory, 'other.json')
  expect((await setup({ file: other }, { flags: ['--dns=192.0.2.1'] })).exitCode).toBe(0)
})
