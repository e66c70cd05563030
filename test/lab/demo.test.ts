import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { isAlive } from './box.ts'
import { findLabs, takeDown } from './leftovers.ts'

/** The demo as somebody runs it whose output goes into a file: the story is true, and nothing of it stays. */
const DEMO = fileURLToPath(new URL('demo.ts', import.meta.url))

function startDemo(...args: string[]): { demo: ChildProcess; output: () => string } {
  const demo = spawn(process.execPath, ['--import', 'tsx', DEMO, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  for (const stream of [demo.stdout, demo.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  return { demo, output: () => text }
}

const ended = async (demo: ChildProcess): Promise<number | null> =>
  demo.exitCode ?? ((await once(demo, 'close')) as [number | null])[0]

/** The demo's lab; the owner's pid begins its name. */
const labOf = (demo: ChildProcess) => findLabs().find(({ name }) => name.startsWith(`${demo.pid}-`))

test('every step is as it should be, in plain text, and nothing stays', { timeout: 150_000 }, async () => {
  const { demo, output } = startDemo()
  await expect.poll(() => labOf(demo)?.hostPid ?? 0, { timeout: 30_000 }).toBeGreaterThan(0)
  const pids = [labOf(demo)?.hostPid ?? 0, labOf(demo)?.inetPid ?? 0]
  expect(pids.every(isAlive)).toBe(true)
  const code = await ended(demo)
  expect(code, output()).toBe(0)
  expect(output()).not.toContain('NOT OK')
  expect(output()).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/)
  const rows = output()
    .split('\n')
    .filter((line) => / {2}(OK|OPEN)$/.test(line))
  expect(rows.length).toBeGreaterThanOrEqual(35)
  for (const told of [
    /stranger, 203\.0\.113\.66 .* 200 from .* OPEN/,
    /5 left, 7 dropped; the server/,
    /8,000 packets sent, 0 got out .* OK/,
    /payments +may: adyen +reaches adyen .*OK/,
    /500 packets sent, 0 got out/,
    /rotating\.photos\.example.* 0 failed; \d+ addresses met .*OK/,
    /c2VjcmV0.*Blocked; 0 questions got out .*OK/,
    /^ {2}embargod 0\.1\.0: healthy/m,
    /^ {2}denied: shop_api/m,
    /^ {2}embargod_drift_repairs_total\{.*\} [1-9]/m,
  ])
    expect(output()).toMatch(told)
  expect(labOf(demo)).toBeUndefined()
  expect(pids.filter(isAlive)).toEqual([])
})

test('interrupted, it takes everything down', async () => {
  const { demo, output } = startDemo()
  await expect.poll(output, { timeout: 60_000 }).toContain('What may leave')
  const lab = labOf(demo)
  expect(lab).toBeDefined()
  demo.kill('SIGINT')
  expect(await ended(demo)).toBe(130)
  expect(output()).toContain('the box is gone')
  expect(labOf(demo)).toBeUndefined()
  expect([lab?.hostPid ?? 0, lab?.inetPid ?? 0].filter(isAlive)).toEqual([])
})

test('with --keep the box stays, guarded, and the printed commands work', { timeout: 180_000 }, async () => {
  const { demo, output } = startDemo('--keep')
  try {
    expect(await ended(demo), output()).toBe(0)
    expect(labOf(demo)).toMatchObject({ kept: true })
    const enter = /nsenter -t (\d+) -n -p -m bash/.exec(output())
    expect(enter).not.toBeNull()
    // After its owner is gone, and a while later.
    await sleep(3000)
    const inside = spawn(
      'nsenter',
      [
        '-t',
        String(enter?.[1]),
        '-n',
        '-p',
        '-m',
        'bash',
        '-c',
        'embargod status; echo "code $?"; docker ps',
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    let text = ''
    inside.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    await once(inside, 'close')
    expect(text).toContain('code 0')
    expect(text).toContain('shop_api')
  } finally {
    const kept = labOf(demo)
    if (kept) takeDown(kept)
  }
  expect(labOf(demo)).toBeUndefined()
  expect(readFileSync('/proc/mounts', 'utf8')).not.toContain(`embargod-lab-${demo.pid}-`)
})

test('an argument that it does not know is refused', async () => {
  const { demo, output } = startDemo('--kep')
  expect(await ended(demo)).toBe(64)
  expect(output()).toContain('--kep')
})
