import { describe, expect, test } from 'vitest'
import { headlineOf, type HeadlineFacts } from '../../../src/status/headline.ts'
import { FAMILIES } from '../../../src/net/types.ts'

const RULES = { 'both families': [4, 6], 'IPv4 alone': [4], none: [] } as const
type Which = keyof typeof RULES

const said = (
  daemon: HeadlineFacts['daemon'],
  rules: Which,
  backstop: boolean,
  more: Partial<HeadlineFacts> = {},
): string =>
  headlineOf({
    daemon,
    rules: RULES[rules],
    backstop,
    config: 'accepted',
    guardsNone: false,
    problems: [],
    ...more,
  })

describe.each(['not-running', 'not-answering'] as const)('a daemon that is %s', (daemon) => {
  const STANDS = daemon === 'not-running' ? /^NOT RUNNING: / : /^NOT ANSWERING: /
  test.each<[rules: Which, backstop: boolean, begins: RegExp]>([
    ['both families', true, STANDS],
    ['both families', false, STANDS],
    ['IPv4 alone', true, /^CLOSED FOR IPv6: containers get nothing new out/],
    ['IPv4 alone', false, /^IPv6 IS NOT ENFORCED: containers reach anything/],
    ['none', true, /^CLOSED: containers get nothing new out/],
    ['none', false, /^NOTHING IS ENFORCED: containers reach anything/],
  ])('with rules of %s, backstop %s', (rules, backstop, begins) => {
    for (const config of ['accepted', 'earlier', 'none'] as const) {
      const text = said(daemon, rules, backstop, { config, problems: ['whatever'] })
      expect(text).toMatch(begins)
      expect(text).toContain(
        daemon === 'not-running' ? 'systemctl start embargod' : 'systemctl restart embargod',
      )
      if (rules === 'both families' && !backstop) expect(text).toContain('backstop is missing')
      // Whoever is told to start it is told why that alone does not help.
      if (daemon === 'not-running' && config !== 'accepted') expect(text).toContain('embargod check')
      expect(text).not.toContain('healthy')
    }
  })
})

describe('a daemon that runs', () => {
  const problems = ['the kernel does not hold the policy: EIO', 'the proof failed']
  test.each<[rules: Which, backstop: boolean, begins: string]>([
    ['both families', true, 'degraded: '],
    ['both families', false, 'degraded: '],
    ['none', true, 'degraded: '],
    ['none', false, 'NOTHING IS KNOWN TO BE ENFORCED: '],
  ])('and is degraded, with rules of %s, backstop %s', (rules, backstop, begins) =>
    expect(said('running', rules, backstop, { problems })).toBe(`${begins}${problems[0]} (and 1 more)`),
  )

  test('and finds nothing wrong', () => expect(said('running', 'both families', true)).toBe('healthy'))
})

test('where the config guards no network that is said, unless there is worse', () => {
  const guardsNone = { guardsNone: true }
  const NONE = /^NO NETWORK IS GUARDED: containers reach anything/
  expect(said('running', 'both families', true, guardsNone)).toMatch(NONE)
  expect(said('not-running', 'both families', true, guardsNone)).toMatch(NONE)
  expect(said('not-running', 'none', true, guardsNone)).toMatch(NONE)
  expect(said('not-running', 'none', false, guardsNone)).toMatch(/^NOTHING IS ENFORCED/)
  expect(said('running', 'both families', true, { ...guardsNone, problems: ['the kernel'] })).toBe(
    'degraded: the kernel',
  )
})

test('every state of the host has one line', () => {
  for (const daemon of ['running', 'not-running', 'not-answering'] as const)
    for (const rules of [[], [4], [6], FAMILIES] as const)
      for (const backstop of [true, false])
        for (const config of ['accepted', 'earlier', 'none'] as const) {
          const text = headlineOf({
            daemon,
            rules,
            backstop,
            config,
            guardsNone: false,
            problems: ['one', 'two'],
          })
          expect(text).toMatch(/^\S[^\n]{5,400}\S$/)
        }
})
