import { describe, expect, test } from 'vitest'
import { Membership } from '../../../../src/dataplane/membership.ts'
import { renderAdditions } from '../../../../src/targets/ipset/render.ts'
import type { KnownSet } from '../../../../src/targets/ipset/known.ts'
import { FastPath } from '../../../../src/targets/ipset/fast-path.ts'

const NOW_MS = 1_000_000
const A = { set: 'one', element: '192.0.2.1' }
const B = { set: 'one', element: '192.0.2.2' }
const OTHER = { set: 'two', element: '192.0.2.1' }

function setUp() {
  const known = new Map<string, KnownSet>()
  for (const name of ['one', 'two'])
    known.set(name, { header: {} as KnownSet['header'], elements: new Map() })
  const membership = new Membership()
  membership.setStatics(
    new Map([
      ['one', new Map([A, B].map(({ element }) => [element, `${element} of a test`]))],
      ['two', new Map([[OTHER.element, 'other']])],
      ['absent', new Map([['192.0.2.9', 'nowhere']])],
    ]),
  )
  const writes: { lines: readonly string[]; resolve: () => void; reject: (error: Error) => void }[] = []
  const fastPath = new FastPath({
    known,
    write: (additions) =>
      new Promise((resolve, reject) => writes.push({ lines: renderAdditions(additions), resolve, reject })),
  })
  const bring = (places: readonly (typeof A)[], nowMs = NOW_MS) =>
    fastPath.ensure(places, membership, 60, nowMs)
  return { known, fastPath, writes, bring }
}

/** What of a promise is known once all that can happen did. */
async function stateOf(promise: Promise<void> | undefined): Promise<string> {
  if (!promise) return 'nothing to do'
  let state = 'waits'
  promise.then(
    () => (state = 'done'),
    (error: Error) => (state = error.message),
  )
  await turns()
  return state
}
const turns = () => new Promise((resolve) => setImmediate(resolve))

describe('an element', () => {
  test('is brought, and stands then', async () => {
    const { known, writes, bring } = setUp()
    const brought = bring([A])
    expect(await stateOf(brought)).toBe('waits')
    expect(writes.map(({ lines }) => lines)).toEqual([
      ['add one 192.0.2.1 timeout 60 comment "192.0.2.1 of a test"'],
    ])
    writes[0]?.resolve()
    await brought
    expect(bring([A])).toBeUndefined()
    expect(known.get('one')?.elements.get(A.element)).toEqual({
      packets: 0,
      bytes: 0,
      comment: '192.0.2.1 of a test',
      expiresAtMs: NOW_MS + 60_000,
    })
  })

  test('that waits for two writes has failed when both are settled, and not before', async () => {
    const { known, writes, bring } = setUp()
    const first = bring([A])
    await turns()
    const both = bring([A, B])
    await turns()
    writes[0]?.reject(new Error('the tool was killed'))
    expect([await stateOf(first), await stateOf(both)]).toEqual(['the tool was killed', 'waits'])
    writes[1]?.reject(new Error('it is full'))
    expect(await stateOf(both)).toBe('the tool was killed')
    expect(known.get('one')?.elements.size).toBe(0)
  })

  test('stands until half of its time is over, and is renewed then', async () => {
    const { writes, bring } = setUp()
    const brought = bring([A])
    await turns()
    writes[0]?.resolve()
    await brought
    expect(bring([A], NOW_MS + 30_000)).toBeUndefined()
    expect(await stateOf(bring([A], NOW_MS + 30_001))).toBe('waits')
    expect(writes).toHaveLength(2)
  })

  test('keeps its counters', async () => {
    const { known, bring } = setUp()
    const before = { packets: 5, bytes: 500, comment: 'before', expiresAtMs: NOW_MS }
    known.get('one')?.elements.set(A.element, before)
    void bring([A])
    await turns()
    expect(known.get('one')?.elements.get(A.element)).toMatchObject({ packets: 5, bytes: 500 })
  })

  test('that is on its way is waited for, and written once', async () => {
    const { writes, bring } = setUp()
    const first = bring([A])
    await turns()
    const second = bring([A, B])
    await turns()
    expect(writes.map(({ lines }) => lines.length)).toEqual([1, 1])
    writes[1]?.resolve()
    expect(await stateOf(second)).toBe('waits')
    writes[0]?.resolve()
    expect([await stateOf(first), await stateOf(second)]).toEqual(['done', 'done'])
  })

  test('that is asked for with others is written with them', async () => {
    const { writes, bring } = setUp()
    const brought = [bring([A]), bring([B]), bring([OTHER])]
    await turns()
    expect(writes.map(({ lines }) => lines.length)).toEqual([3])
    writes[0]?.resolve()
    expect(await Promise.all(brought.map(stateOf))).toEqual(['done', 'done', 'done'])
  })

  test('of one set says nothing of another', async () => {
    const { writes, bring } = setUp()
    const brought = bring([A])
    await turns()
    writes[0]?.resolve()
    await brought
    expect(await stateOf(bring([A, OTHER]))).toBe('waits')
    expect(writes[1]?.lines).toEqual([expect.stringContaining('add two ')])
  })

  test('is written again while nobody knows what stands', async () => {
    const { fastPath, writes, bring } = setUp()
    const brought = bring([A])
    await turns()
    writes[0]?.resolve()
    await brought
    fastPath.distrustsKnown = true
    expect(await stateOf(bring([A]))).toBe('waits')
    expect(writes).toHaveLength(2)
    writes[1]?.resolve()
    await turns()
    fastPath.distrustsKnown = false
    expect(bring([A])).toBeUndefined()
  })
})

describe('a write that fails', () => {
  test('fails for all who wait, and is forgotten', async () => {
    const { known, fastPath, writes, bring } = setUp()
    const [first, second] = [bring([A]), bring([A])]
    await turns()
    writes[0]?.reject(new Error('refused'))
    expect(await Promise.all([stateOf(first), stateOf(second)])).toEqual(['refused', 'refused'])
    expect(known.get('one')?.elements.size).toBe(0)
    expect(fastPath.writtenSince('one', 0)).toEqual([])
    expect(await stateOf(bring([A]))).toBe('waits')
    expect(writes).toHaveLength(2)
  })

  test.each([
    ['a set that is not there', { set: 'absent', element: '192.0.2.9' }],
    ['an element that nobody wants', { set: 'one', element: '192.0.2.66' }],
  ])('leaves nothing believed beside %s', async (_, bad) => {
    const { known, fastPath, writes, bring } = setUp()
    expect(await stateOf(bring([A, bad]))).toBe(`the set ${bad.set} is not there yet`)
    expect(writes).toEqual([])
    expect(known.get('one')?.elements.size).toBe(0)
    expect(fastPath.writtenSince('one', 0)).toEqual([])
    expect(await stateOf(bring([A]))).toBe('waits')
  })
})

describe('what a pass takes away', () => {
  const leavingA = { sets: new Set<string>(), elements: new Set(['one 192.0.2.1']) }
  const leavingSet = { sets: new Set(['one']), elements: new Set<string>() }

  test.each([
    ['an element', leavingA],
    ['a set that is made anew', leavingSet],
  ])('is not relied on: %s', async (_, leaving) => {
    const { known, fastPath, writes, bring } = setUp()
    const first = bring([A])
    await turns()
    writes[0]?.resolve()
    await first
    fastPath.beginRemoval(leaving)
    const second = bring([A])
    expect(await stateOf(second)).toBe('waits')
    expect(writes).toHaveLength(1)
    known.get('one')?.elements.clear()
    fastPath.endRemoval()
    await turns()
    expect(writes).toHaveLength(2)
    writes[1]?.resolve()
    expect(await stateOf(second)).toBe('done')
  })

  test('is not written again when the pass left it', async () => {
    const { fastPath, writes, bring } = setUp()
    const first = bring([A])
    await turns()
    writes[0]?.resolve()
    await first
    fastPath.beginRemoval(leavingA)
    const second = bring([A])
    fastPath.endRemoval()
    expect(await stateOf(second)).toBe('done')
    expect(writes).toHaveLength(1)
  })

  test('holds up nothing else', async () => {
    const { fastPath, writes, bring } = setUp()
    fastPath.beginRemoval(leavingA)
    const brought = bring([B])
    await turns()
    expect(writes).toHaveLength(1)
    writes[0]?.resolve()
    expect(await stateOf(brought)).toBe('done')
  })

  test('by the next pass is waited for too', async () => {
    const { fastPath, writes, bring } = setUp()
    fastPath.beginRemoval(leavingA)
    const brought = bring([A])
    fastPath.beginRemoval(leavingSet)
    expect(await stateOf(brought)).toBe('waits')
    expect(writes).toEqual([])
    fastPath.endRemoval()
    await turns()
    expect(writes).toHaveLength(1)
  })
})

test('a pass is told what was written since it looked', async () => {
  const { fastPath, writes, bring } = setUp()
  const startMs = performance.now()
  void bring([A, OTHER])
  await turns()
  expect(fastPath.writtenSince('one', startMs).map(([element]) => element)).toEqual([A.element])
  writes[0]?.resolve()
  await turns()
  expect(fastPath.writtenSince('one', startMs).map(([element]) => element)).toEqual([A.element])
  expect(fastPath.writtenSince('one', performance.now() + 1)).toEqual([])
  expect(fastPath.writtenSince('two', startMs)).toHaveLength(1)
})
