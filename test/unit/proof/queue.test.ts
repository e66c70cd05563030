import { expect, test } from 'vitest'
import { untilQueueIsEmpty } from '../../../src/proof/queue.ts'

/** As the kernel lists two queues. */
const queues = (held: number): string =>
  `    7      1     9 2 65535     0     0        9  1\n25967   4711 ${`${held}`.padStart(5)} 2    40     0     0       12  1\n`

/** Says one after the other, and the last one from then on. */
function telling(...texts: readonly (string | Error)[]) {
  let asked = 0
  return {
    read: async (): Promise<string> => {
      const text = texts[Math.min(asked++, texts.length - 1)] ?? ''
      if (text instanceof Error) throw text
      return text
    },
    asked: () => asked,
  }
}

test.each([
  ['until nothing is held', [queues(3), queues(1), queues(0)], 3],
  ['not where nobody holds anything', [''], 1],
  ['not for the queue of somebody else', [queues(0)], 1],
  ['not where the kernel has no queues', [new Error('ENOENT')], 1],
])('it waits %s', async (_, texts, looks) => {
  const { read, asked } = telling(...texts)
  await untilQueueIsEmpty(read, 60_000)
  expect(asked()).toBe(looks)
})

test('it waits no longer than it may', async () => {
  const { read } = telling(queues(1))
  const startedMs = performance.now()
  await untilQueueIsEmpty(read, 50)
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(50)
})
