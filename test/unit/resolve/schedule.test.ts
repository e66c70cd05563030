import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Hostname } from '../../../src/net/types.ts'
import { DueHeap } from '../../../src/resolve/due-heap.ts'
import { RateLimit } from '../../../src/resolve/rate-limit.ts'
import { Schedule } from '../../../src/resolve/schedule.ts'

const SECOND = 1_000
const limits = { refreshMinMs: 30 * SECOND, refreshMaxMs: 300 * SECOND }
const api = 'api.example.com' as Hostname
const scheduleOf = (random = 0.5, seed = 'host-1') => new Schedule({ limits, seed, random: () => random })
const names = (count: number) => Array.from({ length: count }, (_, i) => `n${i}.example.com` as Hostname)

describe('a name', () => {
  test('is due at once when new, and is nobody else’s while it is asked', () => {
    const schedule = scheduleOf()
    schedule.configure([api], 7)
    expect(schedule.nextDueMs()).toBe(7)
    expect(schedule.takeDue(7, 10)).toEqual([api])
    expect(schedule.takeDue(1e9, 10)).toEqual([])
    expect(schedule.nextDueMs()).toBeUndefined()
    schedule.configure([api], 8)
    expect(schedule.nextDueMs()).toBeUndefined()
  })

  test.each([
    [0, 30],
    [5, 30],
    [60, 60],
    [300, 300],
    [2 ** 31, 300],
    [Number.POSITIVE_INFINITY, 300],
  ])('whose answer lasts %d s comes again after %d s', (ttl, after) => {
    const schedule = scheduleOf()
    schedule.configure([api], 0)
    schedule.takeDue(0, 1)
    schedule.succeeded(api, 0, ttl * SECOND)
    expect(schedule.nextDueMs()).toBeCloseTo(after * SECOND)
    expect(schedule.takeDue(after * SECOND + 1, 1)).toEqual([api])
  })

  test.each([
    [0, 54],
    [0.999999, 66],
  ])('of 60 s is moved by a tenth at most (random %d)', (random, after) => {
    const schedule = scheduleOf(random)
    schedule.configure([api], 0)
    schedule.takeDue(0, 1)
    schedule.succeeded(api, 0, 60 * SECOND)
    expect(Math.round((schedule.nextDueMs() ?? 0) / SECOND)).toBe(after)
  })

  test('that fails comes again ever later, up to the longest refresh, and starts anew after a success', () => {
    const schedule = scheduleOf()
    schedule.configure([api], 0)
    const waits: number[] = []
    let nowMs = 0
    for (let i = 0; i < 9; i++) {
      schedule.takeDue(nowMs, 1)
      schedule.failed(api, nowMs)
      const nextMs = schedule.nextDueMs() ?? Number.NaN
      waits.push(Math.round((nextMs - nowMs) / SECOND))
      nowMs = nextMs
    }
    expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300])
    schedule.takeDue(nowMs, 1)
    schedule.succeeded(api, nowMs, 0)
    schedule.failed(api, nowMs)
    expect(Math.round(((schedule.nextDueMs() ?? 0) - nowMs) / SECOND)).toBe(5)
  })

  test('that was removed on its way stays removed', () => {
    const schedule = scheduleOf()
    schedule.configure([api], 0)
    schedule.takeDue(0, 1)
    schedule.configure([], 0)
    schedule.succeeded(api, 0, 0)
    schedule.failed(api, 0)
    schedule.calledOff(api, 0)
    expect(schedule.size).toBe(0)
  })

  test('whose look-up was called off is due at once', () => {
    const schedule = scheduleOf()
    schedule.configure([api], 0)
    schedule.takeDue(0, 1)
    schedule.calledOff(api, 3)
    expect(schedule.nextDueMs()).toBe(3)
  })
})

describe('a sweep', () => {
  const swept = (seed: string) => {
    const schedule = scheduleOf(0.5, seed)
    const all = names(10_000)
    schedule.configure(all, 0)
    for (const name of schedule.takeDue(0, 10_000)) schedule.succeeded(name, 0, 300 * SECOND)
    schedule.sweep(0, 100 * SECOND)
    return schedule
  }

  test('brings every name up within the interval, about as many in each tenth of it', () => {
    const schedule = swept('host-1')
    for (let tenth = 1; tenth <= 10; tenth++) {
      const count = schedule.takeDue(tenth * 10 * SECOND, 10_000).length
      expect(count).toBeGreaterThan(850)
      expect(count).toBeLessThan(1150)
    }
    expect(schedule.nextDueMs()).toBeUndefined()
  })

  test('has an order of its own on each host, and the same each time', () => {
    const first = (seed: string) => swept(seed).takeDue(SECOND, 20)
    expect(first('host-1')).toEqual(first('host-1'))
    expect(first('host-1')).not.toEqual(first('host-2'))
  })

  test('makes nobody later', () => {
    const schedule = scheduleOf()
    schedule.configure([api], 5)
    schedule.sweep(0, 3600 * SECOND)
    expect(schedule.nextDueMs()).toBe(5)
  })
})

test('a schedule loses no name, whatever happens to it', () => {
  const pool = names(8)
  const event = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), afterMs: fc.nat(400 * SECOND), max: fc.nat(4) }),
    fc.record({ kind: fc.constant('sweep' as const), intervalMs: fc.nat(900 * SECOND) }),
    fc.record({
      kind: fc.constantFrom('succeeded', 'failed', 'calledOff'),
      pick: fc.nat(7),
      ttlMs: fc.nat(1e6),
    }),
  )
  fc.assert(
    fc.property(
      fc.array(event, { maxLength: 60 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (events, random) => {
        const schedule = scheduleOf(random)
        schedule.configure(pool, 0)
        const taken = new Set<Hostname>()
        let nowMs = 0
        for (const one of events) {
          if (one.kind === 'take' && 'max' in one) {
            nowMs += one.afterMs
            for (const name of schedule.takeDue(nowMs, one.max)) {
              expect(taken.has(name)).toBe(false)
              taken.add(name)
            }
          } else if (one.kind === 'sweep' && 'intervalMs' in one) schedule.sweep(nowMs, one.intervalMs)
          else if ('pick' in one) {
            const name = [...taken][one.pick]
            if (name === undefined) continue
            taken.delete(name)
            if (one.kind === 'succeeded') schedule.succeeded(name, nowMs, one.ttlMs)
            else if (one.kind === 'failed') schedule.failed(name, nowMs)
            else schedule.calledOff(name, nowMs)
          }
          expect(schedule.size).toBe(pool.length)
        }
        const rest = schedule.takeDue(nowMs + 400 * SECOND, 100)
        expect([...rest, ...taken].toSorted()).toEqual(pool.toSorted())
      },
    ),
  )
})

test('a heap gives names in the order of their times, after any changes', () => {
  const change = fc.record({ name: fc.nat(20), dueMs: fc.option(fc.nat(1000)) })
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const heap = new DueHeap<number>()
      const model = new Map<number, number>()
      for (const { name, dueMs } of changes) {
        if (dueMs === null) {
          heap.delete(name)
          model.delete(name)
        } else {
          heap.put(name, dueMs)
          model.set(name, dueMs)
        }
        expect(heap.firstDueMs()).toBe(model.size > 0 ? Math.min(...model.values()) : undefined)
      }
      const popped: number[] = []
      while (heap.size > 0) popped.push(model.get(heap.pop() ?? -1) ?? Number.NaN)
      expect(popped).toEqual([...model.values()].toSorted((one, other) => one - other))
    }),
  )
})

describe('the rate limit', () => {
  test('lets through no more than the rate and a tenth of a second’s worth, whenever it is asked', () => {
    const pauses = fc.array(fc.nat(300), { minLength: 1, maxLength: 100 })
    fc.assert(
      fc.property(pauses, fc.integer({ min: 1, max: 500 }), (all, perSecond) => {
        const limit = new RateLimit(perSecond, 0)
        let nowMs = 0
        let passed = 0
        for (const pause of all) {
          nowMs += pause
          while (limit.take(1, nowMs)) passed++
        }
        expect(passed).toBeLessThanOrEqual((perSecond * nowMs) / 1000 + Math.max(2, perSecond / 10) + 1e-6)
      }),
    )
  })

  test('is as fast as the rate when asked as often as it says', () => {
    const limit = new RateLimit(200, 0)
    let nowMs = 0
    let passed = 0
    while (nowMs < 10_000) {
      if (limit.take(2, nowMs)) passed += 2
      else nowMs += limit.waitMs(2, nowMs)
    }
    expect(passed).toBeGreaterThan(1990)
  })

  test('of one a second lets a name of two families through every two seconds', () => {
    const limit = new RateLimit(1, 0)
    expect(limit.take(2, 0)).toBe(true)
    expect(limit.take(2, 1999)).toBe(false)
    expect(limit.waitMs(2, 1999)).toBe(1)
    expect(limit.take(2, 2000)).toBe(true)
  })

  test('may be lifted and set again', () => {
    const limit = new RateLimit(Number.POSITIVE_INFINITY, 0)
    expect(limit.take(1e9, 0)).toBe(true)
    expect(limit.waitMs(2, 0)).toBe(0)
    limit.setRate(10, 0)
    expect(limit.available(0)).toBe(2)
    limit.setRate(Number.POSITIVE_INFINITY, 0)
    expect(limit.take(1e9, 0)).toBe(true)
  })
})
