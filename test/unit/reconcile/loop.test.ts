import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Trigger } from '../../../src/reconcile/loop.ts'
import { startedLoop } from '../../support/started-loop.ts'
import { turns } from '../../support/turns.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

async function passTime(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await turns()
}

/** A pass that ends when told. */
function gate() {
  const runs: { triggers: Trigger[]; end: (error?: Error) => void }[] = []
  let active = 0
  let most = 0
  const pass = async (triggers: ReadonlySet<Trigger>): Promise<void> => {
    most = Math.max(most, ++active)
    try {
      await new Promise<void>((resolve, reject) => {
        runs.push({ triggers: [...triggers], end: (error) => (error ? reject(error) : resolve()) })
      })
    } finally {
      active--
    }
  }
  const run = async (index: number) => {
    await turns()
    const found = runs[index]
    if (!found) throw new Error(`pass ${index} never began`)
    return found
  }
  return { pass, runs, run, most: () => most }
}

test('passes run one at a time, and what comes during one is gathered into the next', async () => {
  const { pass, runs, run, most } = gate()
  const loop = startedLoop(pass)
  loop.request('start')
  loop.request('docker')
  expect((await run(0)).triggers.toSorted()).toEqual(['docker', 'start'])
  for (const trigger of ['answer', 'link', 'answer', 'drift'] as const) loop.request(trigger)
  await turns()
  expect(runs).toHaveLength(1)
  runs[0]?.end()
  expect((await run(1)).triggers.toSorted()).toEqual(['answer', 'drift', 'link'])
  runs[1]?.end()
  await turns()
  expect(runs).toHaveLength(2)
  expect(most()).toBe(1)
  await loop.stop()
})

test('who waits during a pass waits for the next one', async () => {
  const { pass, runs, run } = gate()
  const loop = startedLoop(pass)
  loop.request('timer')
  await run(0)
  let done = false
  const waiting = loop.requestAndWait('reload').then(() => (done = true))
  runs[0]?.end()
  await run(1)
  expect(done).toBe(false)
  runs[1]?.end()
  await waiting
  await loop.stop()
})

test('a pass that failed is tried again with its triggers, ever later, and tells who waits', async () => {
  const started: number[] = []
  const seen: Trigger[][] = []
  const loop = startedLoop(
    async (triggers) => {
      started.push(performance.now())
      seen.push([...triggers].toSorted())
      if (started.length < 5) throw new Error('no')
    },
    { firstMs: 20, mostMs: 40, newsMs: 40 },
  )
  await loop.requestAndWait('reload')
  expect(started).toHaveLength(1)
  await passTime(1_000)
  expect(started).toHaveLength(5)
  const waits = started.slice(1).map((at, index) => at - (started[index] ?? 0))
  expect(waits).toEqual([20, 40, 40, 40])
  for (const triggers of seen.slice(1)) expect(triggers).toEqual(['reload', 'retry'])
  await loop.stop()
})

test('stopping ends the wait for another try, lets the pass in hand end, and takes nothing more', async () => {
  const failing = startedLoop(async () => Promise.reject(new Error('no')), {
    firstMs: 60_000,
    mostMs: 60_000,
    newsMs: 60_000,
  })
  await failing.requestAndWait('start')
  await failing.stop()
  const { pass, runs, run } = gate()
  const loop = startedLoop(pass)
  loop.request('start')
  await run(0)
  const waiting = loop.requestAndWait('reload')
  let stopped = false
  const stopping = loop.stop().then(() => (stopped = true))
  await turns()
  expect(stopped).toBe(false)
  runs[0]?.end()
  await Promise.all([stopping, waiting])
  loop.request('timer')
  await loop.requestAndWait('timer')
  await turns()
  expect(runs).toHaveLength(1)
})

test('other work runs between passes, never beside one, and its failure is its own', async () => {
  const { pass, runs, run } = gate()
  const loop = startedLoop(pass)
  loop.request('start')
  await run(0)
  const order: string[] = []
  const work = loop.exclusively('a plan', async () => {
    order.push('work begins')
    loop.request('answer')
    await turns()
    order.push(`passes: ${runs.length}`)
    return 7
  })
  await turns()
  expect(order).toEqual([])
  runs[0]?.end()
  expect(await work).toBe(7)
  expect(order).toEqual(['work begins', 'passes: 1'])
  ;(await run(1)).end()
  await expect(loop.exclusively('a plan', async () => Promise.reject(new Error('mine')))).rejects.toThrow(
    'mine',
  )
  loop.request('timer')
  ;(await run(2)).end()
  await loop.stop()
})

test('a loop that is stopped in the midst of a pass that fails does nothing more', async () => {
  const { pass, run } = gate()
  const loop = startedLoop(pass)
  loop.request('start')
  const first = await run(0)
  const stopping = loop.stop()
  first.end(new Error('refused'))
  await stopping
  await turns()
  const begun = vi.spyOn(globalThis, 'setImmediate')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(begun).not.toHaveBeenCalled()
  expect(vi.getTimerCount()).toBe(0)
})

test('other work does not wait for a loop that fails again and again, nor for its patience', async () => {
  let tries = 0
  const loop = startedLoop(
    async () => {
      tries++
      throw new Error('refused')
    },
    { firstMs: 60_000, mostMs: 60_000, newsMs: 60_000 },
  )
  await loop.requestAndWait('start')
  expect(await loop.exclusively('a plan', async () => tries)).toBe(1)
  await loop.stop()
})

test.each(['docker', 'link', 'drift'] as const)(
  'news (%s) end a long wait, and make no short ones of it',
  async (trigger) => {
    const { pass, run, runs } = gate()
    const loop = startedLoop(pass, { firstMs: 60_000, mostMs: 60_000, newsMs: 100 })
    loop.request('start')
    ;(await run(0)).end(new Error('no'))
    await passTime(20)
    loop.request(trigger)
    loop.request(trigger)
    await passTime(79)
    expect(runs).toHaveLength(1)
    await passTime(1)
    ;(await run(1)).end(new Error('no'))
    await passTime(150)
    loop.request('answer')
    await passTime(50)
    expect(runs).toHaveLength(2)
    loop.request(trigger)
    ;(await run(2)).end()
    await loop.stop()
  },
)
