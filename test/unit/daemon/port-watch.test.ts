import { expect, test, vi } from 'vitest'
import { PortWatch } from '../../../src/daemon/port-watch.ts'
import type { PortHolder } from '../../../src/system/port-holders.ts'

async function told(holders: () => Promise<readonly PortHolder[]>): Promise<string | undefined> {
  const states: (string | undefined)[] = []
  const watch = new PortWatch({ onState: (problem) => states.push(problem), holders })
  await watch.watch(10_053)
  const last = states.at(-1)
  watch.stop()
  expect(states.at(-1)).toBeUndefined()
  return last
}

test('who holds the port as well is named, once each', async () => {
  const holder = { inode: '1', uid: 65_534, pid: undefined }
  const problem = await told(async () => [holder, { ...holder, inode: '2' }, { inode: '3', uid: 0, pid: 77 }])
  expect(problem).toMatch(/^UDP port 10053 .* is also held by user 65534, user 0 \(process 77\), who/)
})

test('nobody is no problem, and a table that cannot be read is one', async () => {
  expect(await told(async () => [])).toBeUndefined()
  expect(await told(() => Promise.reject(new Error('no /proc')))).toContain('cannot be seen (no /proc)')
})

test('a look that takes long is waited for, and not begun again beside itself', async () => {
  vi.useFakeTimers()
  let begun = 0
  const watch = new PortWatch({
    onState: () => undefined,
    holders: () => {
      begun += 1
      return new Promise(() => undefined)
    },
  })
  void watch.watch(10_053)
  await vi.advanceTimersByTimeAsync(60_000)
  watch.stop()
  vi.useRealTimers()
  expect(begun).toBe(1)
})
