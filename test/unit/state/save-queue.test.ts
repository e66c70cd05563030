import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { SaveQueue } from '../../../src/state/save-queue.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A disk on which a save takes `durationMs`; `saves` are the times at which saves began. */
function slowDisk(durationMs: number) {
  const saves: number[] = []
  const errors: unknown[] = []
  const disk = { broken: false }
  const startMs = Date.now()
  const queue = new SaveQueue({
    delayMs: 1000,
    now: () => Date.now(),
    onError: (error) => errors.push(error),
    save: async () => {
      saves.push(Date.now() - startMs)
      await new Promise((resolve) => setTimeout(resolve, durationMs))
      if (disk.broken) throw new Error('disk full')
    },
  })
  return { queue, saves, errors, disk }
}

describe('SaveQueue', () => {
  it('saves once for many requests, a delay after the first', async () => {
    const { queue, saves } = slowDisk(1)
    queue.request()
    await vi.advanceTimersByTimeAsync(900)
    queue.request()
    await vi.advanceTimersByTimeAsync(5000)
    expect(saves).toEqual([1000])
  })

  it('saves again what came while it saved, but rests twenty times as long as the save took', async () => {
    const { queue, saves } = slowDisk(500)
    queue.request()
    await vi.advanceTimersByTimeAsync(1100)
    queue.request()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(saves).toEqual([1000, 11_000])
  })

  it('flushes at once what is wanted, after the save that runs', async () => {
    const { queue, saves } = slowDisk(500)
    queue.request()
    await vi.advanceTimersByTimeAsync(1100)
    queue.request()
    const flushed = queue.flush()
    await vi.advanceTimersByTimeAsync(1000)
    await flushed
    expect(saves).toEqual([1000, 1500])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(saves).toHaveLength(2)
  })

  it('flushes nothing when nothing is wanted', async () => {
    const { queue, saves } = slowDisk(1)
    await queue.flush()
    expect(saves).toEqual([])
  })

  it('reports a failure and tries again later', async () => {
    const { queue, saves, errors, disk } = slowDisk(1)
    disk.broken = true
    queue.request()
    await vi.advanceTimersByTimeAsync(2000)
    expect(errors).toHaveLength(1)
    disk.broken = false
    await vi.advanceTimersByTimeAsync(100_000)
    expect(saves).toHaveLength(2)
    expect(errors).toHaveLength(1)
  })
})
