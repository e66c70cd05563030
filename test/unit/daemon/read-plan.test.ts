import { describe, expect, test } from 'vitest'
import { ReadPlan } from '../../../src/daemon/read-plan.ts'
import type { KnownSet } from '../../../src/targets/ipset/known.ts'
import { PARTS, type Part } from '../../../src/targets/keeper.ts'
import type { Trigger } from '../../../src/reconcile/loop.ts'

const DAY = 86_400_000
const T0 = 1_000_000_000
/** Its size is all that counts here. */
const set = (size: number) => ({ elements: { size } }) as unknown as KnownSet
const known = (sizes: Record<string, number>) =>
  new Map(Object.entries(sizes).map(([name, size]) => [name, set(size)]))
const on = (...triggers: Trigger[]) => new Set(triggers)

describe('how much a pass looks at', () => {
  test.each<[Trigger, 'nft' | 'legacy', boolean]>([
    ['start', 'nft', true],
    ['reload', 'nft', true],
    ['until', 'nft', true],
    ['retry', 'nft', true],
    ['answer', 'nft', false],
    ['docker', 'nft', false],
    ['docker', 'legacy', true],
    ['answer', 'legacy', false],
  ])('after %s on iptables-%s: the rules %s', (trigger, flavour, rules) => {
    const plan = new ReadPlan(T0)
    plan.wasRead({ parts: new Set(PARTS), headers: false, read: [], everything: false }, T0)
    expect(plan.scope(on(trigger), flavour, new Map(), DAY, T0 + 1).parts.size > 0).toBe(rules)
  })

  test('a change that the kernel told of is looked at where it was, once', () => {
    const plan = new ReadPlan(T0)
    const partsAt = (at: number) => plan.scope(on('drift'), 'nft', new Map(), DAY, at).parts
    plan.wasRead({ parts: new Set(PARTS), headers: false, read: [], everything: false }, T0)
    plan.suspect(6)
    expect(partsAt(T0 + 1)).toEqual(new Set([6]))
    expect(partsAt(T0 + 2)).toEqual(new Set())
    plan.suspect(undefined)
    expect(partsAt(T0 + 3)).toEqual(new Set(PARTS))
  })

  test('rules are read now and then whatever happens, and until a look went well', () => {
    const plan = new ReadPlan(T0)
    expect(plan.scope(on('timer'), 'nft', new Map(), DAY, T0).parts).toEqual(new Set(PARTS))
    expect(plan.scope(on('timer'), 'nft', new Map(), DAY, T0).parts).toEqual(new Set(PARTS))
    plan.wasRead({ parts: new Set(PARTS), headers: true, read: [], everything: false }, T0)
    expect(plan.scope(on('timer'), 'nft', new Map(), DAY, T0 + 14_000).parts).toEqual(new Set())
    expect(plan.scope(on('timer'), 'legacy', new Map(), DAY, T0 + 5_000).parts).toEqual(new Set(PARTS))
    expect(plan.scope(on('timer'), 'nft', new Map(), DAY, T0 + 15_000).parts).toEqual(new Set(PARTS))
  })

  test('every element is looked at well before half of its time-out is over', () => {
    const plan = new ReadPlan(T0)
    expect(plan.scope(on('answer'), 'nft', new Map(), DAY, T0 + DAY / 8 - 1).everything).toBe(false)
    expect(plan.scope(on('answer'), 'nft', new Map(), DAY, T0 + DAY / 8).everything).toBe(true)
    plan.wasRead({ parts: new Set<Part>(), headers: false, read: [], everything: true }, T0 + DAY / 8)
    expect(plan.scope(on('answer'), 'nft', new Map(), DAY, T0 + DAY / 8 + 1).everything).toBe(false)
  })

  test('sets are read on the timer only, and every one of them in the end, the large ones one by one', () => {
    const plan = new ReadPlan(T0)
    const sets = known({ empty: 0, small: 10, large: 30_000, larger: 30_001 })
    expect(plan.scope(on('answer'), 'nft', sets, DAY, T0).read).toEqual([])
    const read = new Set<string>()
    for (let at = T0; at < T0 + 10_000; at += 1000) {
      const scope = plan.scope(on('timer'), 'nft', sets, DAY, at)
      expect(scope.headers).toBe(true)
      expect(scope.read.filter((name) => name.startsWith('large')).length).toBeLessThanOrEqual(1)
      plan.wasRead(scope, at)
      for (const name of scope.read) {
        expect(read.has(name)).toBe(false)
        read.add(name)
      }
    }
    expect([...read].toSorted()).toEqual(['large', 'larger', 'small'])
    expect(plan.scope(on('timer'), 'nft', sets, DAY, T0 + 25_000).read).toEqual(['small'])
    expect(plan.scope(on('timer'), 'nft', known({ huge: 10_000_000 }), DAY, T0 + 1).read).toEqual(['huge'])
  })
})
