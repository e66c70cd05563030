import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import type { CliResult, Daemon } from './embargod.ts'
import { useLab } from './shared-lab.ts'
import { fetchPage } from './web.ts'

/** A daemon that is stopped keeps its socket and its lock: each command says so within seconds, and what it can without it. */
const lab = useLab({ name: 'silent-daemon' })

const POLICY = 'allow: [203.0.113.10]\n'
const WITHIN_MS = 20_000
const SILENT = 'the daemon does not answer'

let daemon: Daemon
let shop: LabContainer

const own = (): string => lab().embargod.configFile

/** A command that takes longer is killed, and ends with 137. */
async function cli(...args: string[]): Promise<CliResult & { readonly took: number }> {
  const startedMs = performance.now()
  // A proof takes its own time, too.
  const result = await lab().cli(args, { timeoutMs: args[0] === 'verify' ? 2 * WITHIN_MS : WITHIN_MS })
  return { ...result, took: Math.round(performance.now() - startedMs) }
}

beforeAll(async () => {
  await lab().network('shop', { ipv6: true })
  shop = await lab().container({ network: 'shop', name: 'web' })
  daemon = await lab().daemon({ config: POLICY })
})

describe('while the daemon is stopped', () => {
  beforeAll(() => {
    daemon.signal('SIGSTOP')
  })
  afterAll(async () => {
    daemon.signal('SIGCONT')
  })

  test.each<[argv: string[], withConfig: boolean, code: number, said: string]>([
    [['status'], true, 5, 'not answering'],
    [['status', '--json'], true, 5, '"not-answering"'],
    [['plan'], true, 0, 'nothing to do'],
    [['explain', 'web', '203.0.113.10'], true, 0, 'allowed'],
    [['explain', 'web', '203.0.113.66'], true, 6, 'denied'],
    [['verify'], true, 0, 'proven'],
    [['rules'], false, 0, 'EMBARGOD'],
    [['allow', '203.0.113.66', '--for', '1h'], false, 1, ''],
    [['allow', '--list'], false, 1, ''],
    [['reload'], false, 1, ''],
    [['confirm'], false, 1, ''],
    [['cleanup', '--yes'], true, 1, ''],
    [['cleanup', '--yes', '--stop'], true, 1, ''],
    [['run'], true, 1, ''],
  ])('%j answers', async (argv, withConfig, code, said) => {
    const [name = '', ...rest] = argv
    const result = await cli(name, ...(withConfig ? ['--config', own()] : []), ...rest)
    console.log(`${argv.join(' ')}: ${result.took} ms`)
    expect(result).toMatchObject({ code, stdout: expect.stringContaining(said) })
    const lines = `${result.stdout}${result.stderr}`.split('\n').filter((line) => line.includes(SILENT))
    expect(lines).toHaveLength(name === 'rules' ? 0 : 1)
  })
})

test('when it goes on all is as before, and nothing is done that was asked of it meanwhile', async () => {
  await daemon.ready()
  await sleep(500)
  expect((await cli('allow', '--list')).stdout).toContain('nothing is allowed temporarily')
  expect(await fetchPage(shop, 'http://203.0.113.66/', { timeoutMs: 1_000 })).not.toMatchObject({ code: 0 })
  expect(await fetchPage(shop, 'http://203.0.113.10/')).toMatchObject({ code: 0 })
  for (const command of ['status', 'plan', 'reload'] as const) {
    const { code, stderr } = await cli(command, ...(command === 'reload' ? [] : ['--config', own()]))
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  }
})

test('a reload that has to wait for first answers is waited for', async () => {
  // Servers that say nothing: the first answers are waited for.
  await lab().embargod.writeConfig(
    'allow: [203.0.113.10, slow.example]\nresolver: { servers: [198.51.100.77], timeout: 10s }\n',
  )
  const startedMs = performance.now()
  const { code, stdout, stderr } = await lab().cli(['reload'], { timeoutMs: 60_000 })
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^reloaded\n/) as string })
  expect(stderr).toContain('1 of 1 names has no address (slow.example: no answer yet)')
  expect(performance.now() - startedMs).toBeGreaterThan(1_000)
})
