import type { Sample } from './sample.ts'

/** One thing that may not grow: its medians over the second and the last quarter of the samples. */
export interface Trend {
  readonly what: string
  readonly early: number
  readonly late: number
  /** In words. */
  readonly limit: string
  readonly flat: boolean
}

/** Fewer say nothing about growth. */
const FEWEST_SAMPLES = 8

/** Undefined when the samples are too few to tell, or are not of one process from the second quarter on. */
export function trendsOf(samples: readonly Sample[]): readonly Trend[] | undefined {
  if (samples.length < FEWEST_SAMPLES) return undefined
  const quarter = Math.floor(samples.length / 4)
  const [second, last] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)]
  if (new Set(samples.slice(quarter).map(({ pid }) => pid)).size > 1) return undefined
  const trend = (
    what: string,
    of: (one: Sample) => number,
    limit: string,
    most: (early: number) => number,
  ) => {
    const [early, late] = [median(second.map(of)), median(last.map(of))]
    return { what, early, late, limit, flat: late <= most(early) }
  }
  return [
    trend(
      'resident memory, MB',
      ({ rssMb }) => rssMb,
      '10 % or 10 MB more',
      (mb) => Math.max(mb * 1.1, mb + 10),
    ),
    trend(
      'file descriptors',
      ({ fds }) => fds,
      '2 more',
      (count) => count + 2,
    ),
    trend(
      'sockets',
      ({ sockets }) => sockets,
      '2 more',
      (count) => count + 2,
    ),
    trend(
      'child processes',
      ({ children }) => children,
      '2 more',
      (count) => count + 2,
    ),
    trend(
      'event loop delay, ms',
      ({ lagMs }) => lagMs,
      '10 ms more',
      (ms) => ms + 10,
    ),
  ]
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]]
  return (low + high) / 2
}
