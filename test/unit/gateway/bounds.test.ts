import { describe, expect, test } from 'vitest'
import { Cache, type UpstreamAnswer } from '../../../src/gateway/cache.ts'
import { restoreCache, snapshotOf } from '../../../src/gateway/cache-snapshot.ts'
import { LearnedNames } from '../../../src/gateway/learned-names.ts'
import { QueryRates } from '../../../src/gateway/query-rates.ts'
import { readReply } from '../../../src/gateway/reply.ts'
import { TYPE } from '../../../src/dns/codes.ts'
import type { Hostname } from '../../../src/net/types.ts'
import type { Grant } from '../../../src/policy/name-table.ts'
import { a } from '../../support/dns-server.ts'
import { reply, soa, wire } from './messages.ts'

const DAY_MS = 86_400_000
const NAME = 'a.example.com'

const said = (message: Buffer, type: number = TYPE.A, name = NAME): UpstreamAnswer => ({
  message,
  reply: readReply(message, wire(name), type),
})
const QUESTION = { name: wire(NAME), type: TYPE.A }
const EMPTY = said(reply([]))
const NXDOMAIN = said(reply([], { rcode: 3 }))

describe('the cache', () => {
  test('holds an answer for its time, and for a day more as a stale one', () => {
    const cache = new Cache()
    cache.put('k', EMPTY, 1000, 5000)
    expect(cache.fresh('k', 5000)?.replyTo(QUESTION)).toEqual(EMPTY.reply)
    expect(cache.fresh('k', 5999)).toBeDefined()
    expect(cache.fresh('k', 6000)).toBeUndefined()
    expect(cache.stale('k', 6000 + DAY_MS - 1)?.replyTo(QUESTION)).toEqual(EMPTY.reply)
    expect(cache.stale('k', 6000 + DAY_MS)).toBeUndefined()
    expect(cache.size).toBe(0)
  })

  test('gives nothing from the future when the clock was put back', () => {
    const cache = new Cache()
    cache.put('k', EMPTY, 1000, 5000)
    expect(cache.fresh('k', 4999)).toBeUndefined()
    expect(cache.stale('k', 4999)).toBeUndefined()
    expect(cache.fresh('k', 5001)).toBeDefined()
  })

  test('forgets the least recently used of too many', () => {
    const cache = new Cache(3)
    for (const key of ['a', 'b', 'c']) cache.put(key, EMPTY, 1000, 0)
    cache.fresh('a', 1)
    cache.put('d', EMPTY, 1000, 1)
    expect([...cache.entries()].map(([key]) => key)).toEqual(['c', 'a', 'd'])
    for (let index = 0; index < 1000; index++) cache.put(`n${index}`, EMPTY, 1000, 1)
    expect(cache.size).toBe(3)
  })

  test('counts a large answer for as many as it takes the place of', () => {
    const cache = new Cache()
    const records = Array.from({ length: 60 }, () => a('large.example.com', '192.0.2.1', 60))
    const large = said(reply(records, { name: 'large.example.com' }), TYPE.A, 'large.example.com')
    for (let index = 0; index < 5_000; index++) cache.put(`k${index}`, large, 1000, 0)
    // Some 18 KB each.
    expect(cache.size).toBeLessThan(2_500)
    expect(cache.size).toBeGreaterThan(500)
  })

  test('counts what an answer bears beside what was asked for', () => {
    const cache = new Cache()
    const fat = said(Buffer.concat([reply([a(NAME, '192.0.2.1')]), Buffer.alloc(4_000)]))
    expect(fat.reply.answers).toHaveLength(1)
    for (let index = 0; index < 20_000; index++) cache.put(`k${index}`, fat, 1000, 0)
    expect(cache.size).toBeLessThan(9_000)
  })

  test('keeps nothing of more than 4 KiB, nor what was kept before it', () => {
    const cache = new Cache()
    cache.put('k', EMPTY, 1000, 0)
    cache.put('k', said(Buffer.concat([reply([a(NAME, '192.0.2.1')]), Buffer.alloc(4_096)])), 1000, 0)
    expect(cache.fresh('k', 1)).toBeUndefined()
  })

  test('renewed answers take no place from others', () => {
    const cache = new Cache(100)
    cache.put('quiet', EMPTY, 1000, 0)
    for (let index = 0; index < 10_000; index++) cache.put(`busy${index % 10}`, EMPTY, 1000, 0)
    for (let index = 0; index < 10_000; index++) {
      cache.put('brief', EMPTY, 1000, 0)
      cache.put('brief', EMPTY, 0, 0)
    }
    expect(cache.size).toBe(11)
    expect(cache.stale('quiet', 2000)).toBeDefined()
  })

  test('replaces, and forgets what holds for no time', () => {
    const cache = new Cache()
    cache.put('k', EMPTY, 1000, 0)
    cache.put('k', NXDOMAIN, 1000, 1)
    expect(cache.fresh('k', 2)?.replyTo(QUESTION)).toEqual(NXDOMAIN.reply)
    cache.put('k', EMPTY, 0, 3)
    expect(cache.size).toBe(0)
  })
})

describe('what is saved of the cache', () => {
  const saved = (message: Buffer, type: number, nowMs = 6000) => {
    const before = new Cache()
    const key = `${type} 00 ${wire(NAME)}`
    before.put(key, said(message, type), 60_000, 5000)
    const after = new Cache()
    restoreCache(after, snapshotOf(before), nowMs)
    return { before: before.fresh(key, 6000), after: after.fresh(key, 6000) }
  }

  test.each([
    ['addresses', reply([a(NAME, '192.0.2.1', 60), a(NAME, '192.0.2.2', 70)]), TYPE.A],
    ['an absence', reply([], { rcode: 3, authorities: [soa('example.com')] }), TYPE.A],
  ])('is the same afterwards: %s', (_, message, type) => {
    const { before, after } = saved(message, type)
    expect(after).toEqual(before)
    expect(after?.message).toEqual(message)
    expect(after?.replyTo(QUESTION)).toEqual(readReply(message, wire(NAME), type))
  })

  test('is not what was stored in the future', () => {
    expect(saved(reply([a(NAME, '192.0.2.1')]), TYPE.A, 4999).after).toBeUndefined()
  })
})

describe('the budget of questions', () => {
  test('is five seconds at once, and then its rate', () => {
    const rates = new QueryRates(10)
    const taken = (nowMs: number) => {
      let count = 0
      while (rates.take('192.0.2.1', nowMs)) count++
      return count
    }
    expect([taken(0), taken(0), taken(99), taken(100), taken(1100), taken(100_000)]).toEqual([
      50, 0, 0, 1, 10, 50,
    ])
  })

  test('is one for each source', () => {
    const rates = new QueryRates(1)
    for (let index = 0; index < 5; index++) expect(rates.take('192.0.2.1', 0)).toBe(true)
    expect(rates.take('192.0.2.1', 0)).toBe(false)
    expect(rates.take('192.0.2.2', 0)).toBe(true)
  })

  test('grows by no clock that goes back', () => {
    const rates = new QueryRates(1)
    while (rates.take('192.0.2.1', 10_000));
    expect(rates.take('192.0.2.1', 0)).toBe(false)
    expect(rates.take('192.0.2.1', 500)).toBe(false)
    expect(rates.take('192.0.2.1', 1000)).toBe(true)
  })

  test('of less than one a second lets one through', () => {
    const rates = new QueryRates(1 / 60)
    expect([0, 1, 60_000, 60_001].map((nowMs) => rates.take('192.0.2.1', nowMs))).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('follows a change of the rate', () => {
    const rates = new QueryRates(1000)
    rates.take('192.0.2.1', 0)
    rates.setRate(1)
    let count = 0
    while (rates.take('192.0.2.1', 0)) count++
    expect(count).toBe(5)
  })

  test('is not had anew by asking much while many others ask once', () => {
    const rates = new QueryRates(1)
    while (rates.take('192.0.2.1', 0));
    for (let index = 0; index < 20_000; index++) {
      rates.take(`2001:db8::${index}`, 0)
      if (index % 100 === 0) expect(rates.take('192.0.2.1', 0)).toBe(false)
    }
  })
})

describe('learned names', () => {
  const grants: Grant[] = [{ policy: 'common', as: 'a.example.com' as Hostname, private: false, ports: [] }]

  test('are matched for who learned them, until their time is over', () => {
    const learned = new LearnedNames()
    learned.learn('192.0.2.1', 'x.example.com', grants, 1000)
    expect(learned.match('192.0.2.1', 'x.example.com', 999)).toBe(grants)
    expect(learned.match('192.0.2.1', 'x.example.com', 1000)).toEqual([])
    expect(learned.match('192.0.2.2', 'x.example.com', 0)).toEqual([])
    expect(learned.match('192.0.2.1', 'y.example.com', 0)).toEqual([])
  })

  test('are 256 for one source, the newest', () => {
    const learned = new LearnedNames()
    for (let index = 0; index <= 256; index++) learned.learn('192.0.2.1', `n${index}`, grants, 1000)
    expect(learned.match('192.0.2.1', 'n0', 0)).toEqual([])
    expect(learned.match('192.0.2.1', 'n1', 0)).toBe(grants)
    expect(learned.match('192.0.2.1', 'n256', 0)).toBe(grants)
    for (let index = 0; index < 1000; index++) learned.learn('192.0.2.1', 'n256', grants, 1000)
    expect(learned.match('192.0.2.1', 'n1', 0)).toBe(grants)
  })

  test('are those of 4,096 sources', () => {
    const learned = new LearnedNames()
    for (let index = 0; index <= 4096; index++) learned.learn(`source ${index}`, 'x', grants, 1000)
    expect(learned.match('source 0', 'x', 0)).toEqual([])
    expect(learned.match('source 1', 'x', 0)).toBe(grants)
    expect(learned.match('source 4096', 'x', 0)).toBe(grants)
  })

  test('may all be forgotten', () => {
    const learned = new LearnedNames()
    learned.learn('192.0.2.1', 'x', grants, 1000)
    learned.clear()
    expect(learned.match('192.0.2.1', 'x', 0)).toEqual([])
  })
})
