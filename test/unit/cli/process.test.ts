import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ControlServer } from '../../../src/control/server.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { healthyReport } from '../../support/status-report.ts'

const root = join(import.meta.dirname, '..', '..', '..')

interface Surroundings {
  readonly runtimeDirectory?: string
  /** A reader that goes away at once, as `| true`. */
  readonly deafReader?: boolean
}

async function embargod(
  args: readonly string[],
  { runtimeDirectory = '/nonexistent', deafReader }: Surroundings = {},
) {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src', 'main.ts'), ...args], {
    cwd: root,
    env: { ...process.env, EMBARGOD_RUNTIME_DIR: runtimeDirectory, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = { stdout: '', stderr: '' }
  if (deafReader) child.stdout.destroy()
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text))
  const [exitCode] = (await once(child, 'close')) as [number]
  return { exitCode, ...out }
}

describe('the process', () => {
  it('misused: ends with 64', async () =>
    expect(await embargod(['fly'])).toMatchObject({ exitCode: 64, stdout: '' }))

  it('ends with 0 when its reader has gone away', async () =>
    expect(await embargod(['schema'], { deafReader: true })).toMatchObject({ exitCode: 0, stderr: '' }))

  it('without a daemon: reload fails with one clear line', async () =>
    expect(await embargod(['reload'])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'embargod: the daemon is not running\n',
    }))

  it('finds the daemon of its network namespace and prints its whole report through a pipe', async () => {
    const runtimeDirectory = await scratchDirectory()
    const names = Array.from({ length: 20_000 }, () => healthyReport.names).flat()
    const server = await ControlServer.start(runtimeDirectory, {
      status: async () => ({ ...healthyReport, names }),
    })
    try {
      const { exitCode, stdout, stderr } = await embargod(['status', '--json'], { runtimeDirectory })
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      expect(JSON.parse(stdout)).toMatchObject({ daemon: 'running', pid: 4711 })
      expect((JSON.parse(stdout) as { names: unknown[] }).names).toHaveLength(20_000)
    } finally {
      await server.close()
    }
  })
})
