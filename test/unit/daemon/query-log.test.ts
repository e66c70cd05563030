import { describe, expect, test } from 'vitest'
import { QueryLog } from '../../../src/daemon/query-log.ts'
import type { QueryReport } from '../../../src/gateway/model.ts'
import { createLogger } from '../../../src/observe/logger.ts'

function setUp() {
  const lines: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  }
  const log = new QueryLog(createLogger({ level: 'info', pretty: false, destination }))
  return {
    lines,
    tell: (changes: Partial<QueryReport>, nowMs: number, wish: 'denied' | 'all' | 'none' = 'denied') =>
      log.tell({ ...REPORT, ...changes }, wish, nowMs),
  }
}
const REPORT: QueryReport = {
  outcome: 'denied',
  policy: 'web',
  type: 'A',
  name: 'evil.example.org',
  asker: 'web',
  source: '172.18.0.2',
  durationMs: 1,
  waitedForKernel: false,
}

test('a denied name is told with who asked', () => {
  const { lines, tell } = setUp()
  tell({}, 0)
  expect(lines).toMatchObject([
    {
      level: 'warn',
      msg: 'DNS name denied',
      container: 'web',
      name: 'evil.example.org',
      source: '172.18.0.2',
      policy: 'web',
    },
  ])
})

test('a name of odd labels is told as such', () => {
  const { lines, tell } = setUp()
  tell({ name: undefined }, 0)
  expect(lines).toMatchObject([{ name: '(odd labels)' }])
})

test.each([
  ['denied', ['denied']],
  ['all', ['denied', 'answered', 'withheld']],
  ['none', []],
] as const)('who wants "%s" is told of %j', (wish, told) => {
  const { lines, tell } = setUp()
  for (const outcome of ['denied', 'answered', 'withheld'] as const) tell({ outcome }, 0, wish)
  expect(lines).toHaveLength(told.length)
})

describe('the same again', () => {
  test('is told once a minute, with how often', () => {
    const { lines, tell } = setUp()
    for (let nowMs = 0; nowMs <= 60_000; nowMs += 1000) tell({}, nowMs)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toMatchObject({ againSinceLastTold: 59 })
  })

  test('is another thing for another container, name and type', () => {
    const { lines, tell } = setUp()
    for (const changes of [{}, { asker: 'shop' }, { name: 'x.example.org' }, { type: 'AAAA' }]) {
      tell(changes, 0)
      tell(changes, 1)
    }
    expect(lines).toHaveLength(4)
  })
})

test('of a flood fifty lines are told, and then how many were not', () => {
  const { lines, tell } = setUp()
  for (let index = 0; index < 1000; index++) tell({ name: `n${index}.example.org` }, index)
  expect(lines).toHaveLength(50)
  tell({ name: 'later.example.org' }, 10_000)
  expect(lines.slice(50)).toMatchObject([{ count: 950 }, { name: 'later.example.org' }])
})
