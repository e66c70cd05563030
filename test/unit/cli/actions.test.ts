import { describe, expect, it } from 'vitest'
import { allowAction } from '../../../src/cli/allow.ts'
import type { Action, Io } from '../../../src/cli/command.ts'
import { confirmAction } from '../../../src/cli/confirm.ts'
import { reloadAction } from '../../../src/cli/reload.ts'
import { statusAction } from '../../../src/cli/status.ts'
import type { Problem } from '../../../src/config/model.ts'
import type { CallDaemon } from '../../../src/control/client.ts'
import type { WithoutDaemon } from '../../../src/control/status.ts'
import { SilentDaemonError } from '../../../src/control/error.ts'
import { healthyReport } from '../../support/status-report.ts'

async function act<Args>(action: Action<Args>, args: Args) {
  const out = { stdout: '', stderr: '' }
  const io: Io = {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    isTTY: false,
    color: false,
  }
  return { exitCode: await action(args, io), ...out }
}

const problem = (severity: Problem['severity'], message: string): Problem => ({
  severity,
  file: 'a.yaml',
  line: 3,
  column: 5,
  message,
})

/** A daemon that gives one answer, and notes what it was asked. */
function daemon(answer: unknown) {
  const asked: unknown[] = []
  const ask: CallDaemon = async <T>(name: string, body?: unknown) => {
    asked.push([name, body])
    return answer as T | undefined
  }
  return { ask, asked }
}

describe('reload', () => {
  it.each([
    [{ outcome: 'applied', problems: [] }, 0, 'reloaded\n', ''],
    [{ outcome: 'unchanged', problems: [] }, 0, 'reloaded; nothing changed\n', ''],
    [
      { outcome: 'applied', problems: [], confirmUntilMs: 0 },
      0,
      'reloaded; on trial until 1970-01-01T00:00:00.000Z: `embargod confirm` keeps it\n',
      '',
    ],
    [
      {
        outcome: 'applied',
        problems: [],
        changes: ['allowed anew: a.example 443/tcp', 'denyWith: drop -> reject'],
        notWorking: ['1 of 2 names has no address'],
      },
      0,
      'reloaded\nallowed anew: a.example 443/tcp\ndenyWith: drop -> reject\n',
      'embargod: 1 of 2 names has no address\n',
    ],
    [
      { outcome: 'unchanged', problems: [], unsaved: 'the disk is full' },
      0,
      'reloaded; nothing changed\n',
      'it is in force, but a restart would not find it: the disk is full',
    ],
    [{ outcome: 'refused', problems: [problem('error', 'bad')] }, 2, 'a.yaml:3:5: bad\n', 'accepted last'],
    [{ outcome: 'failed', problems: [], detail: 'set full\x1b' }, 1, '', 'set full\\x1b'],
    [undefined, 1, '', 'not running'],
  ])('%j', async (answer, exitCode, stdout, stderr) => {
    const result = await act(reloadAction(daemon(answer).ask), {})
    expect(result).toMatchObject({ exitCode, stdout })
    expect(result.stderr).toContain(stderr)
  })
})

describe('confirm', () => {
  it.each([
    [{ confirmed: true }, 0, 'confirmed\n', ''],
    [{ confirmed: false }, 1, '', 'no configuration is on trial'],
    [undefined, 1, '', 'not running'],
  ])('%j', async (answer, exitCode, stdout, stderr) => {
    const result = await act(confirmAction(daemon(answer).ask), {})
    expect(result).toMatchObject({ exitCode, stdout })
    expect(result.stderr).toContain(stderr)
  })
})

describe('allow', () => {
  const NOW = Date.UTC(2026, 0, 1)
  it('hands the wish on and lists what is open now', async () => {
    const { ask, asked } = daemon({ temporary: [{ entry: 'a.example:443', untilMs: NOW + 3_600_000 }] })
    const wish = { action: 'add', entry: 'a.example:443', forMs: 3_600_000 } as const
    const result = await act(
      allowAction(ask, () => NOW),
      wish,
    )
    expect(asked).toEqual([['allow', wish]])
    expect(result.exitCode).toBe(0)
    expect(result.stdout).toContain('a.example:443    2026-01-01T01:00:00.000Z  1h')
  })

  it.each([
    [{ temporary: [] }, 0, 'nothing is allowed temporarily\n'],
    [undefined, 5, ''],
  ])('--list with %j', async (answer, exitCode, stdout) =>
    expect(
      await act(
        allowAction(daemon(answer).ask, () => NOW),
        { action: 'list' },
      ),
    ).toMatchObject({ exitCode, stdout }),
  )
})

describe('status', () => {
  const stopped = { ...healthyReport, daemon: 'not-running' as const }
  const degraded = { ...healthyReport, health: 'degraded' as const }
  it.each([
    ['healthy', healthyReport, 0],
    ['degraded', degraded, 4],
    ['no daemon', undefined, 5],
  ])('%s', async (_case, report, exitCode) => {
    const sources = { fromDaemon: async () => report, fromHost: async () => stopped, now: () => 0 }
    const result = await act(statusAction(sources), { json: true, config: '/nowhere.yaml' })
    expect(result.exitCode).toBe(exitCode)
    expect(JSON.parse(result.stdout)).toEqual(JSON.parse(JSON.stringify(report ?? stopped)))
  })

  it('takes what a daemon of an older version tells', async () => {
    // Keys without a value are not sent.
    const older: unknown = JSON.parse(JSON.stringify({ ...degraded, headline: undefined, notes: undefined }))
    const sources = {
      fromDaemon: async () => older as typeof healthyReport,
      fromHost: async () => stopped,
      now: () => 0,
    }
    const { exitCode, stdout } = await act(statusAction(sources), { json: false, config: '/nowhere.yaml' })
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 4, stdout: expect.stringMatching(/^degraded: /) })
  })

  it('tells what the host says where the daemon does not answer', async () => {
    const sources = {
      fromDaemon: () => Promise.reject(new SilentDaemonError(false)),
      fromHost: async (_config: string, why: WithoutDaemon) => ({ ...stopped, daemon: why }),
      now: () => 0,
    }
    const { exitCode, stdout } = await act(statusAction(sources), { json: false, config: '/nowhere.yaml' })
    expect(exitCode).toBe(5)
    expect(stdout).toContain('not answering')
  })
})
