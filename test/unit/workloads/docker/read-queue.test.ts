import { expect, test } from 'vitest'
import { ReadQueue } from '../../../../src/workloads/docker/read-queue.ts'
import { Renames } from '../../../../src/workloads/docker/renames.ts'

test('what is added many times is read once, and again when it is added after that', () => {
  const queue = new ReadQueue()
  expect(queue.isEmpty).toBe(true)
  for (const id of ['a', 'b', 'a']) queue.add('containers', id)
  queue.add('networks', 'a')
  const first = queue.take()
  expect(first).toEqual({ everything: false, networks: new Set(['a']), containers: new Set(['a', 'b']) })
  expect(queue.isEmpty).toBe(true)
  queue.add('containers', 'a')
  queue.addEverything()
  expect(queue.take()).toEqual({ everything: true, networks: new Set(), containers: new Set(['a']) })
  expect(first.containers).toEqual(new Set(['a', 'b']))
  expect(queue.take().everything).toBe(false)
})

test('only a name that came after the question is newer than its answer', () => {
  const renames = new Renames()
  renames.add('c1', 'before')
  const asked = renames.count
  expect(renames.nameSince('c1', asked)).toBeUndefined()
  renames.add('c1', 'first')
  renames.add('c2', 'other')
  renames.add('c1', 'last')
  expect(renames.nameSince('c1', asked)).toBe('last')
  expect(renames.nameSince('c1', renames.count)).toBeUndefined()
  renames.forget('c1')
  expect(renames.nameSince('c1', asked)).toBeUndefined()
  expect(renames.nameSince('c2', asked)).toBe('other')
})
