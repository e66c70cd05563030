import { describe, expect, test } from 'vitest'
import { hooksOf } from '../../../../src/dataplane/chains/dispatch.ts'
import type { Ruleset } from '../../../../src/dataplane/model.ts'
import { diffRules } from '../../../../src/targets/iptables/diff.ts'
import { hookPlaces } from '../../../../src/targets/iptables/hook-places.ts'
import { parseSave } from '../../../../src/targets/iptables/parse.ts'
import { FakeRules } from '../../../support/kernel/fake-rules.ts'

const hooks = hooksOf({ mark: 0x20000000 }).filter(({ parents }) => parents.includes('FORWARD'))
const wanted: Ruleset = { chains: [{ table: 'filter', name: 'EMBARGOD', rules: [] }], hooks }

const TABLE = [
  '*filter',
  ':FORWARD ACCEPT [0:0]',
  ':DOCKER-USER - [0:0]',
  ':DOCKER-FORWARD - [0:0]',
  ':vpn - [0:0]',
]
const save = (lines: readonly string[]): string =>
  [...TABLE, ...lines.map((line) => `[0:0] -A ${line}`), 'COMMIT', ''].join('\n')
const places = (lines: readonly string[]): string[] => {
  const table = parseSave(save(lines), 4).tables.get('filter')
  return hooks.flatMap((hook) => (table ? hookPlaces(hook, table) : [])).map(({ parent }) => parent)
}
const TO_USER = 'FORWARD -j DOCKER-USER'

describe('our rules are reached', () => {
  test.each<[what: string, lines: readonly string[]]>([
    ['nothing stands above', [TO_USER, 'FORWARD -j ACCEPT']],
    ['only what drops or returns stands above', ['FORWARD -j vpn', TO_USER, 'vpn -j DROP', 'vpn -j RETURN']],
    ['the engine is moving its jump', ['FORWARD -j DOCKER-FORWARD', TO_USER]],
    [
      'the engine has put rules of a bridge above',
      [
        'FORWARD -o br-0123456789ab -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        'FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT',
        'FORWARD -i docker0 -o docker0 -j ACCEPT',
        TO_USER,
      ],
    ],
    ['chains above lead to each other for ever', ['FORWARD -j vpn', TO_USER, 'vpn -j vpn']],
  ])('from DOCKER-USER where %s', (_, lines) => {
    expect(places(lines)).toEqual(['DOCKER-USER'])
  })

  test.each<[what: string, above: readonly string[]]>([
    ['established connections', ['FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT']],
    ['what leaves by a VPN', ['FORWARD -o tun0 -j ACCEPT']],
    ['what a chain accepts', ['FORWARD -j vpn', 'vpn -p udp -j RETURN', 'vpn -o tun0 -j ACCEPT']],
    ['what a program may accept', ['FORWARD -j NFQUEUE --queue-num 0']],
    ['one bridge to a VPN', ['FORWARD -i br-0123456789ab -o tun0 -j ACCEPT']],
  ])('from FORWARD too where a rule above accepts %s', (_, above) => {
    expect(places([...above, TO_USER])).toEqual(['FORWARD', 'DOCKER-USER'])
    // Written once it stays as it is, also when the engine puts rules of its own above it; gone with the other rule.
    const kernel = new FakeRules(4, () => undefined)
    const restore = (lines: readonly string[]) =>
      kernel.restore([...TABLE, ...lines.map((one) => `-A ${one}`), 'COMMIT', ''].join('\n'))
    restore([...above, TO_USER])
    const differs = () => diffRules(wanted, parseSave(kernel.save(), 4), 4)
    for (const { input } of differs()) kernel.restore(input)
    expect(differs()).toEqual([])
    expect(kernel.chain('filter', 'FORWARD')?.rules[0]?.text).toMatch(/-j EMBARGOD$/)
    expect(kernel.chain('filter', 'DOCKER-USER')?.rules[0]?.text).toMatch(
      /--mark 0x0\/0x20000000 -j EMBARGOD$/,
    )
    kernel.restore(
      ['*filter', '-I FORWARD 1 -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT', 'COMMIT', ''].join('\n'),
    )
    expect(differs()).toEqual([])
    kernel.restore(['*filter', '-I FORWARD 1 -o tun1 -j ACCEPT', 'COMMIT', ''].join('\n'))
    expect(differs().flatMap(({ summary }) => summary)).toEqual([
      'remove 1 jump from FORWARD',
      'jump first from FORWARD',
    ])
    kernel.restore(['*filter', '-I FORWARD 1 -j DOCKER-USER', 'COMMIT', ''].join('\n'))
    for (const { input } of differs()) kernel.restore(input)
    expect(differs()).toEqual([])
    expect(kernel.chain('filter', 'FORWARD')?.rules.some(({ text }) => text.endsWith('-j EMBARGOD'))).toBe(
      false,
    )
  })
})
