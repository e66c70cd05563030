import { expect, test } from 'vitest'
import { RulesAhead } from '../../../src/daemon/rules-ahead.ts'
import { hooksOf } from '../../../src/dataplane/chains/dispatch.ts'
import { parseSave } from '../../../src/targets/iptables/parse.ts'

const hooks = hooksOf({ mark: 0x20000000 })
const RULES = { 4: { chains: [], hooks }, 6: { chains: [], hooks: [] } }
const saved = (...lines: readonly string[]) => {
  const text = [
    '*filter',
    ':INPUT ACCEPT [0:0]',
    ':FORWARD DROP [0:0]',
    ':DOCKER-USER - [0:0]',
    ':DOCKER-FORWARD - [0:0]',
  ]
  return { 4: parseSave([...text, ...lines.map((line) => `[0:0] -A ${line}`), 'COMMIT', ''].join('\n'), 4) }
}

const BRIDGE = ['FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT', 'FORWARD -j DOCKER-USER']
const BELOW = ['FORWARD -j DOCKER-FORWARD', 'FORWARD -j DOCKER-USER', 'DOCKER-FORWARD -i docker0 -j ACCEPT']
const OURS = 'DOCKER-USER -j EMBARGOD'

test.each([
  ["a bridge's own rules", BRIDGE, /IPv4 FORWARD: -i br-0123456789ab/],
  ['the chain of newer engines', BELOW, /IPv4 FORWARD: -j DOCKER-FORWARD/],
])('%s above DOCKER-USER are told when they stay', (_, lines, words) => {
  const watch = new RulesAhead()
  expect(watch.look(RULES, saved(...lines, OURS), 0)).toBeUndefined()
  expect(watch.look(RULES, saved(...lines, OURS), 9_000)).toBeUndefined()
  expect(watch.look(RULES, {}, 10_000)).toMatch(words)
  expect(watch.look(RULES, saved('FORWARD -j DOCKER-USER', OURS), 11_000)).toBeUndefined()
  // Each time anew.
  expect(watch.look(RULES, saved(...lines, OURS), 12_000)).toBeUndefined()
})

test('what our jump stands above, or what accepts nothing, is no matter', () => {
  const watch = new RulesAhead()
  for (const nowMs of [0, 20_000])
    for (const lines of [
      ['FORWARD -j EMBARGOD', 'FORWARD -o tun0 -j ACCEPT', 'FORWARD -j DOCKER-USER', OURS],
      ['FORWARD -j DOCKER-FORWARD', 'FORWARD -j DOCKER-USER', 'DOCKER-FORWARD -j DROP', OURS],
      ['FORWARD -o tun0 -j ACCEPT', 'FORWARD -j EMBARGOD'].toReversed(),
    ])
      expect(watch.look(RULES, saved(...lines), nowMs)).toBeUndefined()
})
