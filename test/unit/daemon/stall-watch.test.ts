import { expect, test } from 'vitest'
import { Health } from '../../../src/daemon/health.ts'
import { StallWatch } from '../../../src/daemon/stall-watch.ts'
import { Loop } from '../../../src/reconcile/loop.ts'

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

/** A loop whose passes wait for ever, or until they are let go, on a clock that the test moves. */
function standing() {
  let nowMs = 1_000_000
  let release = (): void => undefined
  const loop = new Loop(undefined, () => nowMs)
  const begin = (): void =>
    loop.start(async () => {
      loop.at('the disk that holds the state')
      await new Promise<void>((resolve) => (release = resolve))
    })
  const told: (string | undefined)[] = []
  const health = new Health((_, problem) => told.push(problem))
  const watch = new StallWatch({ loop, health, clock: () => nowMs })
  /** As the timer does. */
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) {
      nowMs += 1_000
      watch.look()
    }
  }
  return { loop, begin, health, told, pass, release: () => release() }
}

test('a pass that does not end is told within 15 s, with what it waits for, now and then again, and no longer when it ends', async () => {
  const { loop, begin, health, told, pass, release } = standing()
  begin()
  pass(60)
  expect(health.problems).toEqual([])
  loop.request('timer')
  await turns()
  pass(9)
  expect(health.problems).toEqual([])
  pass(2)
  expect(health.problems).toEqual([
    'a pass has not ended for 10 s: it waits for the disk that holds the state',
  ])
  pass(600)
  expect(health.problems[0]).toContain('has not ended for 320 s')
  expect(told).toHaveLength(6)
  release()
  await turns()
  pass(1)
  expect(health.problems).toEqual([])
  loop.request('timer')
  await turns()
  pass(11)
  expect(health.problems[0]).toContain('has not ended for 10 s')
})

test('whoever waits for a pass that does not end, or for one behind it, is told, and the loop can be stopped', async () => {
  const { loop, begin, pass } = standing()
  begin()
  const first = loop.requestAndWait('reload')
  await turns()
  const second = loop.requestAndWait('reload')
  const plan = expect(loop.exclusively('a plan', async () => 'ran')).rejects.toThrow('does not end')
  pass(11)
  await Promise.all([first, second, plan])
  const third = loop.requestAndWait('reload')
  pass(1)
  await third
  const stopping = loop.stop()
  pass(1)
  await stopping
})

test('a start that does not get to its first pass is told, and so is a plan that does not end', async () => {
  const { loop, health, pass } = standing()
  const waiting = loop.requestAndWait('start')
  pass(11)
  await waiting
  expect(health.problems).toEqual(['the first look at this host has not ended for 10 s'])
  const plan = expect(loop.exclusively('a plan', () => new Promise(() => undefined))).rejects.toThrow(
    'a plan does not end',
  )
  await turns()
  pass(11)
  await plan
  expect(health.problems).toEqual(['a plan has not ended for 10 s'])
})
