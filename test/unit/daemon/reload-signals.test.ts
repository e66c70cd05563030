import { expect, test } from 'vitest'
import type { ReloadAnswer } from '../../../src/control/protocol.ts'
import { reloadOnSignals } from '../../../src/daemon/reload-signals.ts'

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

function starting() {
  const ends: ((error?: Error) => void)[] = []
  const errors: unknown[] = []
  const daemon = {
    reloadBySignal: () =>
      new Promise<ReloadAnswer>((resolve, reject) =>
        ends.push((error) => (error ? reject(error) : resolve({ outcome: 'unchanged', problems: [] }))),
      ),
  }
  let begin: ((one: typeof daemon) => void) | undefined
  const start = new Promise<typeof daemon>((resolve) => (begin = resolve))
  const hup = reloadOnSignals(start, (error) => errors.push(error))
  return { hup, tried: () => begin?.(daemon), ends, errors }
}

test('signals that come during the start wait for the first policy, and are one reload', async () => {
  const { hup, tried, ends } = starting()
  hup()
  await turns()
  hup()
  await turns()
  expect(ends).toHaveLength(0)
  tried()
  await turns()
  expect(ends).toHaveLength(1)
  ends[0]?.()
  await turns()
  expect(ends).toHaveLength(1)
})

test('signals that come while a reload runs are one that follows, also when that one fails', async () => {
  const { hup, tried, ends, errors } = starting()
  tried()
  hup()
  await turns()
  for (let times = 0; times < 3; times += 1) {
    hup()
    await turns()
  }
  expect(ends).toHaveLength(1)
  ends[0]?.(new Error('no'))
  await turns()
  expect(errors).toMatchObject([{ message: 'no' }])
  expect(ends).toHaveLength(2)
  ends[1]?.()
  await turns()
  hup()
  await turns()
  expect(ends).toHaveLength(3)
})
