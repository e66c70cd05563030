import { describe, expect, test } from 'vitest'
import type { Hook } from '../../../src/dataplane/model.ts'
import { hooksOf } from '../../../src/dataplane/chains/dispatch.ts'
import { diffRules } from '../../../src/targets/iptables/diff.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import { renderRule } from '../../../src/targets/iptables/render.ts'
import { displacedJumps, Fights } from '../../../src/reconcile/fight.ts'
import type { Change } from '../../../src/reconcile/reconciler.ts'

const forward = hooksOf({ mark: 0x20000000 }).filter(({ parents }) => parents.includes('FORWARD'))
const rules = { 4: { chains: [], hooks: forward }, 6: { chains: [], hooks: [] } }
const jump = renderRule(forward[0]?.rule as Hook['rule'], 4)

/** A filter table; `JUMP` stands for ours. */
const saved = (lines: readonly string[]) =>
  parseSave(
    [
      '*filter',
      ':FORWARD ACCEPT [0:0]',
      ':DOCKER-USER - [0:0]',
      ':DOCKER-FORWARD - [0:0]',
      ...lines.map((line) => `[0:0] -A ${line.replace('JUMP', jump)}`),
      'COMMIT',
      '',
    ].join('\n'),
    4,
  )
const displaced = (lines: readonly string[]) => displacedJumps(rules, { 4: saved(lines) })

const TO_DOCKER_USER = 'FORWARD -j DOCKER-USER'
const BESIDE = [TO_DOCKER_USER, 'DOCKER-USER -j ACCEPT', 'DOCKER-USER JUMP']

/** What a pass that finds these rules would write. */
function changeFor(lines: readonly string[]): Change {
  const found = saved(lines)
  const changes = diffRules(rules[4], found, 4)
  const observed = { rules: { 4: found }, backstop: undefined, parts: new Set([4] as const), sets: [] }
  const summary = changes.flatMap((one) => one.summary.map((line) => `IPv4 filter: ${line}`))
  return { rules: changes, observed, summary } as unknown as Change
}

describe('a jump that is not in its place', () => {
  test.each<[what: string, lines: readonly string[], above: string | undefined]>([
    ['stands first', [TO_DOCKER_USER, 'DOCKER-USER JUMP', 'DOCKER-USER -j RETURN'], 'none'],
    ['has a rule above it', BESIDE, '-j ACCEPT'],
    ['was taken out', [TO_DOCKER_USER, 'DOCKER-USER -j RETURN'], '-j RETURN'],
    ['was flushed', [TO_DOCKER_USER], undefined],
    ['is first in a chain that the engine is moving', ['FORWARD -j LOG', 'DOCKER-USER JUMP'], 'none'],
    [
      'is not asked where somebody accepts before',
      ['FORWARD -o tun0 -j ACCEPT', TO_DOCKER_USER, 'DOCKER-USER JUMP'],
      '-o tun0 -j ACCEPT',
    ],
    [
      'stands above it there too',
      ['FORWARD JUMP', 'FORWARD -o tun0 -j ACCEPT', TO_DOCKER_USER, 'DOCKER-USER JUMP'],
      'none',
    ],
    ['has a chain of the engine above it', ['FORWARD -j DOCKER-FORWARD', 'FORWARD JUMP'], 'none'],
  ])('%s', (_, lines, above) => {
    const found = displaced(lines)
    if (above === 'none') expect(found).toEqual([])
    else expect(found).toMatchObject([{ family: 4, table: 'filter', above }])
  })
})

describe('a fight for the first place', () => {
  let nowMs = 0
  /** How many of so many passes, one after the other, put the jump first. */
  const repaired = (fights: Fights, passes: number, everyMs: number): number => {
    let count = 0
    for (let pass = 0; pass < passes; pass += 1) {
      count += fights.judge(changeFor(BESIDE), rules, true).change.rules.length
      nowMs += everyMs
    }
    return count
  }

  test('is answered at once ten times, then every three seconds, and names who fights', () => {
    const fights = new Fights(() => nowMs)
    expect(repaired(fights, 10, 20)).toBe(10)
    const { change, fight } = fights.judge(changeFor(BESIDE), rules, true)
    expect(change).toMatchObject({ rules: [], summary: [] })
    expect(fight).toMatchObject({
      families: [4],
      words: expect.stringContaining('(IPv4): -j ACCEPT') as string,
    })
    expect(fight?.waitMs).toBeGreaterThan(2_900)
    expect(repaired(fights, 301, 100)).toBe(10)
  })

  test('is answered each time where no backstop closes the host meanwhile, and named all the same', () => {
    const fights = new Fights(() => nowMs)
    for (let pass = 0; pass < 30; pass += 1) {
      const { change, fight } = fights.judge(changeFor(BESIDE), rules, false)
      expect(change.rules).toHaveLength(1)
      if (pass >= 10)
        expect(fight).toMatchObject({
          waitMs: undefined,
          words: expect.stringContaining('no backstop') as string,
        })
      nowMs += 20
    }
  })

  test('is over when nobody has done it for a minute', () => {
    const fights = new Fights(() => nowMs)
    repaired(fights, 12, 20)
    nowMs += 61_000
    const peace = changeFor([TO_DOCKER_USER, 'DOCKER-USER JUMP'])
    expect(fights.judge(peace, rules, true).fight).toBeUndefined()
    expect(repaired(fights, 10, 20)).toBe(10)
  })

  test('holds nothing else up: a table that has to be written anyway is written', () => {
    const fights = new Fights(() => nowMs)
    repaired(fights, 12, 20)
    const change = changeFor(BESIDE)
    const more = change.rules.map((one) => ({ ...one, summary: [...one.summary, 'rewrite chain EMBARGOD'] }))
    expect(fights.judge({ ...change, rules: more }, rules, true).change.rules).toHaveLength(1)
  })

  test('once in a while is none', () => {
    const fights = new Fights(() => nowMs)
    expect(repaired(fights, 100, 7_000)).toBe(100)
    expect(fights.judge(changeFor(BESIDE), rules, true).fight).toBeUndefined()
  })
})
