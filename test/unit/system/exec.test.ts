import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../../../src/system/exec.ts'
import { scratchDirectory } from '../../support/scratch.ts'

describe('a program', () => {
  test('that fails is told by what it said, with the end of what it was given', async () => {
    const failure = run(['sh', '-c', 'cat >/dev/null; echo no >&2; exit 4'], {
      input: 'x'.repeat(5000) + 'end',
    })
    await expect(failure).rejects.toMatchObject({ kind: 'failed', exitCode: 4, stderr: 'no\n' })
    await expect(failure).rejects.toMatchObject({ inputTail: expect.stringMatching(/^x{1997}end$/) })
  })

  test('that is not there is missing', () =>
    expect(run(['no-such-program-here'])).rejects.toMatchObject({ kind: 'missing' }))

  test('that ended by a signal has failed, whatever it printed', () =>
    expect(run(['sh', '-c', 'echo half; kill -9 $$'], { okExitCodes: [1, 137] })).rejects.toMatchObject({
      kind: 'failed',
      exitCode: undefined,
    }))

  test('that never ends is killed with all that it started, and told of in time', async () => {
    const file = join(await scratchDirectory(), 'pid')
    const startedMs = performance.now()
    // A script that waits for a child of its own, which holds the pipe.
    const script = `sleep 600 & echo $! >${file}; wait`
    await expect(run(['sh', '-c', script], { timeoutMs: 300 })).rejects.toMatchObject({
      kind: 'timeout',
      message: expect.stringContaining('no answer within 0.3 s'),
    })
    expect(performance.now() - startedMs).toBeLessThan(60_000)
    const child = Number(await readFile(file, 'utf8'))
    await expect.poll(() => isRunning(child)).toBe(false)
  })
})

/** Killed and not yet reaped is ended too. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat !== '' && !/\) [ZX] /.test(stat)
}
