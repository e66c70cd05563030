import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Backoff } from '../../../../src/workloads/docker/backoff.ts'
import { EventLines } from '../../../../src/workloads/docker/event-lines.ts'

const event = (id: string) => JSON.stringify({ Type: 'network', Action: 'create', Actor: { ID: id } })

test('the same events and the same count of bad lines, wherever the socket cuts the bytes', () => {
  const line = fc.oneof(
    fc.string({ unit: 'grapheme' }).map(event),
    fc.constantFrom('{', 'null', '[1]', '{"Type":1}'),
  )
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(400)), (lines, cuts) => {
      const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''))
      const whole = new EventLines()
      const expected = whole.push(bytes)
      const pieces = new EventLines()
      const edges = [
        0,
        ...cuts.map((cut) => Math.min(cut, bytes.length)).toSorted((a, b) => a - b),
        bytes.length,
      ]
      const found = edges.slice(1).flatMap((edge, index) => pieces.push(bytes.subarray(edges[index], edge)))
      expect(found).toEqual(expected)
      expect(pieces.malformed).toBe(whole.malformed)
      expect(expected.length + whole.malformed).toBe(lines.length)
    }),
  )
})

test('a line without end is given up, and what follows it is heard', () => {
  const lines = new EventLines()
  for (let i = 0; i < 40; i += 1) expect(lines.push('x'.repeat(65_536))).toEqual([])
  expect(lines.malformed).toBeGreaterThan(0)
  expect(lines.push(`\n${event('n1')}\n`).map(({ id }) => id)).toEqual(['n1'])
})

test('the beginning of a line that is too long tells whom it is about, and no text in it can', () => {
  const labels = { 'a"': '"Type":"network","Action":"destroy","Actor":{"ID":"other"' }
  const long = JSON.stringify({
    from: labels['a"'],
    Type: 'container',
    Action: 'start',
    Actor: { ID: 'c1', Attributes: { ...labels, x: 'x'.repeat(2_000_000) } },
  })
  const lines = new EventLines()
  const events = (long + '\n' + event('n1') + '\n').match(/[^]{1,65536}/g)?.flatMap((one) => lines.push(one))
  expect(events).toEqual([
    { type: 'container', action: 'start', id: 'c1', container: undefined },
    { type: 'network', action: 'create', id: 'n1', container: undefined },
  ])
  expect(lines.malformed).toBe(1)
})

test('waits double to the last one and start anew after a reset; chance only shortens them, by a quarter at most', () => {
  const longest = new Backoff({ random: () => 0 })
  expect(Array.from({ length: 8 }, () => longest.nextMs())).toEqual([
    200, 400, 800, 1600, 3200, 6400, 10_000, 10_000,
  ])
  longest.reset()
  expect(longest.nextMs()).toBe(200)
  expect(new Backoff({ random: () => 1 }).nextMs()).toBe(150)
})
