import { describe, expect, test } from 'vitest'
import type { Hook } from '../../../src/dataplane/model.ts'
import { hooksOf } from '../../../src/dataplane/chains/dispatch.ts'
import { diffRules } from '../../../src/targets/iptables/diff.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'
import { renderRule } from '../../../src/targets/iptables/render.ts'
import { displacedJumps, Fights } from '../../../src/reconcile/fight.ts'
import { rulesChange, type RulesChange } from '../../../src/targets/iptables/keeper.ts'

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
interface Found {
  readonly seen: { readonly 4: ReturnType<typeof saved> }
  readonly change: RulesChange | undefined
}

function findingOf(lines: readonly string[]): Found {
  const found = saved(lines)
  return { seen: { 4: found }, change: rulesChange(diffRules(rules[4], found, 4), []) }
}

const judge = (fights: Fights, { change, seen }: Found, backstopStands = true) =>
  fights.judge(change, seen, rules, backstopStands)

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
      count += judge(fights, findingOf(BESIDE)).change?.tables.length ?? 0
      nowMs += everyMs
    }
    return count
  }

  test('is answered at once ten times, then every three seconds, and names who fights', () => {
    const fights = new Fights(() => nowMs)
    expect(repaired(fights, 10, 20)).toBe(10)
    const { change, fight } = judge(fights, findingOf(BESIDE))
    expect(change).toBeUndefined()
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
      const { change, fight } = judge(fights, findingOf(BESIDE), false)
      expect(change?.tables).toHaveLength(1)
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
    const peace = findingOf([TO_DOCKER_USER, 'DOCKER-USER JUMP'])
    expect(judge(fights, peace).fight).toBeUndefined()
    expect(repaired(fights, 10, 20)).toBe(10)
  })

  test('holds nothing else up: a table that has to be written anyway is written', () => {
    const fights = new Fights(() => nowMs)
    repaired(fights, 12, 20)
    const { seen, change } = findingOf(BESIDE)
    const more = (change?.tables ?? []).map((one) => ({
      ...one,
      summary: [...one.summary, 'rewrite chain EMBARGOD'],
    }))
    expect(judge(fights, { seen, change: rulesChange(more, []) }).change?.tables).toHaveLength(1)
  })

  test('once in a while is none', () => {
    const fights = new Fights(() => nowMs)
    expect(repaired(fights, 100, 7_000)).toBe(100)
    expect(judge(fights, findingOf(BESIDE)).fight).toBeUndefined()
  })
})
