import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { LabContainer } from './container.ts'
import { steadyFlood } from './leaks.ts'
import { guard, inside } from './scene.ts'
import { useLab } from './shared-lab.ts'
import { type Fault, Tools } from './tools.ts'
import { fetchPage } from './web.ts'

/** Whatever fails, at whatever step, the host is no wider than before, and the next attempt gets there. */
const lab = useLab({ name: 'faults' })
let tools: Tools

/** A machine may be several times slower than the one on which this takes a minute. */
const LONG_MS = 600_000

/** Sets and rules of two families and the second guard take more. */
const FEWEST_STEPS = 4

beforeAll(async () => {
  tools = await Tools.install(lab(), 'faults')
})
beforeEach(() => tools.forget())

/** Two policies with different rules and different sets, so that going from one to the other takes every kind of step. */
const RED = 'allow: [{ cidr: 203.0.113.12, ports: [80/tcp] }, allowed.example]'
const BLUE =
  'allow: [{ cidr: 203.0.113.13, ports: [443/tcp] }, { cidr: 203.0.113.14, ports: [80/tcp] }]\nsmtp: {}'
const RED_ONLY = 'http://203.0.113.12/'
const BLUE_ONLY = 'http://203.0.113.14/'

const passes = async (from: LabContainer, url: string): Promise<boolean> =>
  (await fetchPage(from, url, { timeoutMs: 1000 })).code === 0

async function cleanup(): Promise<void> {
  expect(await lab().cli(['cleanup', '--yes'])).toMatchObject({ code: 0 })
}

/** The number of writes that going from the red to the blue policy takes. */
async function stepsFromRedToBlue(): Promise<number> {
  await cleanup()
  await red()
  const daemon = await guard(lab(), { config: BLUE, env: { PATH: tools.path } })
  const steps = (await tools.writes()).length
  await daemon.term()
  return steps
}

async function red(): Promise<void> {
  const daemon = await guard(lab(), { config: RED })
  await daemon.term()
  await tools.forget()
}

async function settled(): Promise<void> {
  await lab().waitFor('it is healthy', async () => (await lab().cli(['status'])).code === 0, 20_000)
  expect(await lab().cli(['plan', '--config', lab().embargod.configFile])).toMatchObject({ code: 0 })
}

/** Starts what is killed at that write. False where the write did not come: it was a timer's, that fell into the count. */
async function killedAt(step: number): Promise<boolean> {
  const killed = await guard(lab(), { config: BLUE, env: { PATH: tools.path }, wait: false })
  const code = await Promise.race([killed.ended, sleep(30_000, undefined, { ref: false })])
  if (code === undefined) {
    await killed.term()
    expect(step).toBeGreaterThan(FEWEST_STEPS)
    return false
  }
  expect(code, `step ${step}`).toBe(137)
  return true
}

async function isBlue(from: LabContainer, step: number): Promise<void> {
  expect(await passes(from, BLUE_ONLY), `step ${step}`).toBe(true)
  expect(await passes(from, RED_ONLY), `step ${step}`).toBe(false)
}

async function nextStartGetsThere(from: LabContainer, step: number): Promise<void> {
  const daemon = await guard(lab(), { config: BLUE })
  await settled()
  await isBlue(from, step)
  await daemon.term()
}

describe('a write of the first pass', () => {
  test.each(['exit4', 'halfway'] as const satisfies readonly Fault[])(
    'fails (%s), each in turn: nothing gets out, and the next pass puts it right',
    async (fault) => {
      const from = await inside(lab())
      const steps = await stepsFromRedToBlue()
      expect(steps).toBeGreaterThan(FEWEST_STEPS)
      await red()
      const flood = await steadyFlood(lab(), from)
      for (let step = 1; step <= steps; step += 1) {
        await red()
        await tools.failAt(step, fault)
        const daemon = await guard(lab(), { config: BLUE, env: { PATH: tools.path }, wait: false })
        await settled()
        expect((await tools.writes()).length, `step ${step} was reached`).toBeGreaterThanOrEqual(step)
        await isBlue(from, step)
        await daemon.term()
      }
      expect(await flood.stop()).toBe(0)
    },
    LONG_MS,
  )

  // To be killed before a write is to be killed after the one before it.
  test(
    'is the last thing it does, each in turn: nothing gets out, and the next start gets there',
    async () => {
      const from = await inside(lab())
      const steps = await stepsFromRedToBlue()
      await red()
      const flood = await steadyFlood(lab(), from)
      for (let step = 1; step <= steps; step += 1) {
        await red()
        await tools.failAt(step, 'killedAfter')
        if (!(await killedAt(step))) break
        // What neither policy allows is refused at every stage; and one that is being taken away may only be narrower.
        expect(await passes(from, 'http://203.0.113.66/'), `step ${step}`).toBe(false)
        await nextStartGetsThere(from, step)
      }
      expect(await flood.stop()).toBe(0)
    },
    LONG_MS,
  )

  test(
    'kills it on a host without any rule, each in turn: the next start gets there',
    async () => {
      const from = await inside(lab())
      await cleanup()
      const clean = await guard(lab(), { config: BLUE, env: { PATH: tools.path } })
      const steps = (await tools.writes()).length
      await clean.term()
      for (let step = 1; step <= steps; step += 1) {
        await cleanup()
        await tools.forget()
        await tools.failAt(step, 'killedAfter')
        if (!(await killedAt(step))) break
        await nextStartGetsThere(from, step)
      }
    },
    LONG_MS,
  )

  test('fails for good: it says why, stays closed, and gets there when it can', async () => {
    const from = await inside(lab())
    await cleanup()
    await red()
    await tools.failAlways('exit4')
    const flood = await steadyFlood(lab(), from)
    await guard(lab(), { config: BLUE, env: { PATH: tools.path }, wait: false })
    await lab().waitFor('it says why', async () => {
      const { code, stdout } = await lab().cli(['status'])
      return code === 4 && stdout.includes('as the test wished')
    })
    expect(
      (await lab().host(['curl', '-s', 'http://127.0.0.1:9464/readyz', '-w', '%{http_code}'])).stdout,
    ).toContain('503')
    await tools.forget()
    await settled()
    expect(await passes(from, BLUE_ONLY)).toBe(true)
    expect(await flood.stop()).toBe(0)
  })
})
