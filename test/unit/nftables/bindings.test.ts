import { describe, expect, test } from 'vitest'
import type { Binding, Bindings } from '../../../src/dataplane/model.ts'
import { classMark } from '../../../src/dataplane/names.ts'
import type { Address } from '../../../src/net/types.ts'
import {
  bindingRulesInSync,
  changeBindings,
  elementsOf,
  marksByAddress,
  renderBindings,
} from '../../../src/nftables/bindings.ts'
import { parseBindings } from '../../../src/nftables/bindings-driver.ts'

const binding = (port: string, address: string, id: number): Binding => ({
  port,
  mac: '02:42:ac:12:00:02',
  address: address as Address,
  mark: classMark(id),
})
const bindings = (...ports: Binding[]): Bindings => ({
  ports,
  gateways: ['172.18.0.1' as Address, 'fd00:18::1' as Address],
  spared: ['eth1'],
})
const PORTS = [binding('veth0000001', '172.18.0.2', 3), binding('veth0000001', 'fd00:18::2', 3)]
const WEB = bindings(...PORTS)

/** What `nft -j list` answers for a table with the rules of a text and these elements. */
function listed(text: string, elements: ReturnType<typeof elementsOf>, hooked = true): string {
  const key = (element: string) => element.replaceAll('"', '').split(' . ')
  const sets = [...elements].map(([name, values]) => {
    if (!name.startsWith('rights')) {
      const elem = [...values].map((value) =>
        value.includes(' . ') ? { concat: key(value) } : key(value)[0],
      )
      return { set: { name, elem } }
    }
    const elem = [...values].map((value) => {
      const [what = '', mark] = value.split(' : ')
      return [{ concat: key(what) }, Number(mark)]
    })
    return { map: { name, elem } }
  })
  const comments = [...text.matchAll(/comment "([^"]*)"/g)].map(([, comment]) => ({ rule: { comment } }))
  return JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { counter: { name: 'forged', packets: 7 } },
      { counter: { name: 'claimed', packets: 2 } },
      ...sets,
      { chain: { name: 'known' } },
      { chain: { name: 'ingress', ...(hooked ? { hook: 'prerouting', prio: -300 } : {}) } },
      ...comments,
    ],
  })
}

const NONE = { forged: 0, claimed: 0 }

describe('the bindings table', () => {
  test('once written is in sync, and needs no change', () => {
    const saved = parseBindings(listed(renderBindings(elementsOf(WEB), NONE), elementsOf(WEB)))
    expect(bindingRulesInSync(saved)).toBe(true)
    expect(changeBindings(saved.elements, elementsOf(WEB))).toBe('')
    expect(saved.dropped).toEqual({ forged: 7, claimed: 2 })
  })

  test('is not in sync without its hook, or with a rule more, less or other', () => {
    const text = renderBindings(elementsOf(WEB), NONE)
    const elements = elementsOf(WEB)
    const rules = text.split('\n')
    const last = rules.findLastIndex((line) => line.includes('comment'))
    for (const other of [
      rules.toSpliced(last, 1).join('\n'),
      rules.toSpliced(last, 0, rules[last] ?? '').join('\n'),
      text.replace(/\[[0-9a-f]{8}\]"/, '[00000000]"'),
      text.replace(/ \[[0-9a-f]{8}\]"/, '"'),
    ])
      expect(bindingRulesInSync(parseBindings(listed(other, elements)))).toBe(false)
    expect(bindingRulesInSync(parseBindings(listed(text, elements, false)))).toBe(false)
  })

  test('spares ports of bridges that are left alone, ahead of what is taken and after what is known', () => {
    const text = renderBindings(elementsOf(WEB), NONE)
    expect(text).toMatch(/iifname @ports goto known[^]*iifname @spared accept[^]*ether saddr @takenMacs/)
    expect(text).toContain('spared { "eth1" }')
  })

  test('changes by what differs alone', () => {
    const after = [binding('veth0000002', '172.18.0.3', 4)]
    const change = changeBindings(elementsOf(bindings(...PORTS, ...after)), elementsOf(WEB))
    expect(change.split('\n').filter(Boolean)).toEqual([
      'delete element bridge embargod-bindings ports { "veth0000002" }',
      'delete element bridge embargod-bindings macs { "veth0000002" . 02:42:ac:12:00:02 }',
      'delete element bridge embargod-bindings rights4 { "veth0000002" . 02:42:ac:12:00:02 . 172.18.0.3 : 0x00000080 }',
      'delete element bridge embargod-bindings quotes4 { "veth0000002" . 02:42:ac:12:00:02 . 2886860803 }',
      'delete element bridge embargod-bindings taken4 { 172.18.0.3 }',
    ])
  })

  test('gives other rights by taking the old ones first', () => {
    const lines = changeBindings(
      elementsOf(WEB),
      elementsOf(bindings(...PORTS.map((one) => ({ ...one, mark: classMark(9) })))),
    )
      .split('\n')
      .filter(Boolean)
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['delete', 'delete', 'add', 'add'])
  })

  test('tells the mark of an address', () => {
    const marks = marksByAddress(
      parseBindings(listed(renderBindings(elementsOf(WEB), NONE), elementsOf(WEB))),
    )
    expect([...marks]).toEqual([
      ['172.18.0.2', classMark(3)],
      ['fd00:18::2', classMark(3)],
    ])
  })

  test.each(['', '{', '{"nftables": [{"set": {"name": 1}}]}', '{"nftables": [{"metainfo": {}}'])(
    'half an answer is none: %s',
    (text) => {
      expect(() => parseBindings(text)).toThrow()
    },
  )
})
