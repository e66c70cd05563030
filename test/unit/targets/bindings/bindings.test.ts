import { describe, expect, test } from 'vitest'
import type { Binding, Bindings } from '../../../../src/dataplane/model.ts'
import { classMark, DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import type { Address } from '../../../../src/net/types.ts'
import {
  bindingRulesInSync,
  ourElements,
  removeBindings,
  renderBindings,
} from '../../../../src/targets/bindings/render.ts'
import { changeBindings, elementsOf, marksByAddress } from '../../../../src/targets/bindings/elements.ts'
import { BindingsDriver, parseBindings } from '../../../../src/targets/bindings/driver.ts'
import { ToolError } from '../../../../src/system/exec.ts'

const binding = (port: string, address: string, id: number): Binding => ({
  port,
  mac: '02:42:ac:12:00:02',
  address: address as Address,
  class: id,
})
const bindings = (...ports: Binding[]): Bindings => ({
  ports,
  gateways: ['172.18.0.1' as Address, 'fd00:18::1' as Address],
  spared: ['eth1'],
})
const PORTS = [binding('veth0000001', '172.18.0.2', 3), binding('veth0000001', 'fd00:18::2', 3)]
const WEB = bindings(...PORTS)

/** What is read of tables with the rules of a text and these elements. */
const read = (text: string, elements: ReturnType<typeof elementsOf>, hooked = true) => {
  const at = text.indexOf('table inet embargod-bindings {\n')
  const isAgain = ([name]: readonly [string, unknown]) => name.startsWith('again')
  return parseBindings(
    listed(text.slice(0, at), new Map([...elements].filter((one) => !isAgain(one))), hooked),
    listedAgain(text.slice(at), new Map([...elements].filter(isAgain))),
  )
}

/** The same of the table that looks rights up again. */
function listedAgain(text: string, elements: ReturnType<typeof elementsOf>): string {
  const maps = [...elements].map(([name, values]) => {
    const elem = [...values].map((value) => {
      const [what = '', target = ''] = value.split(' : goto ')
      return [{ concat: what.split(' . ') }, { goto: { target } }]
    })
    return { map: { name, elem } }
  })
  const chains: object[] = []
  let rules: { chain: string; comment: string }[] = []
  let chain = ''
  for (const line of text.split('\n')) {
    chain = /^(?: {2}|add )chain (?:inet \S+ )?(\S+)/.exec(line)?.[1] ?? chain
    if (/^(?: {2}|add )chain /.test(line)) chains.push({ name: chain })
    if (line.startsWith('flush chain')) rules = rules.filter((rule) => rule.chain !== chain)
    const hook = /hook (\S+) priority -5/.exec(line)?.[1]
    if (hook !== undefined) chains[chains.length - 1] = { name: chain, hook, prio: -5 }
    const comment = /comment "([^"]*)"/.exec(line)?.[1]
    if (comment !== undefined) rules.push({ chain, comment })
  }
  return JSON.stringify({
    nftables: [...maps, ...chains.map((one) => ({ chain: one })), ...rules.map((rule) => ({ rule }))],
  })
}

/** What `nft -j list` answers for the table of the bridge family. */
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
    const saved = read(
      renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, DEFAULT_MARKS.rights),
      elementsOf(WEB, DEFAULT_MARKS.rights),
    )
    expect(bindingRulesInSync(saved, DEFAULT_MARKS.rights)).toBe(true)
    expect(changeBindings(saved.elements, elementsOf(WEB, DEFAULT_MARKS.rights), DEFAULT_MARKS.rights)).toBe(
      '',
    )
    expect(saved.dropped).toEqual({ forged: 7, claimed: 2 })
  })

  test('is not in sync without its hook, or with a rule more, less or other', () => {
    const text = renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, DEFAULT_MARKS.rights)
    const elements = elementsOf(WEB, DEFAULT_MARKS.rights)
    const rules = text.split('\n')
    const last = rules.findLastIndex((line) => line.includes('comment'))
    for (const other of [
      rules.toSpliced(last, 1).join('\n'),
      rules.toSpliced(last, 0, rules[last] ?? '').join('\n'),
      text.replace(/\[[0-9a-f]{8}\]"/, '[00000000]"'),
      text.replace(/ \[[0-9a-f]{8}\]"/, '"'),
    ])
      expect(bindingRulesInSync(read(other, elements), DEFAULT_MARKS.rights)).toBe(false)
    expect(bindingRulesInSync(read(text, elements, false), DEFAULT_MARKS.rights)).toBe(false)
  })

  test('spares ports of bridges that are left alone, ahead of what is taken and after what is known', () => {
    const text = renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, DEFAULT_MARKS.rights)
    expect(text).toMatch(/iifname @ports goto known[^]*iifname @spared accept[^]*ether saddr @takenMacs/)
    expect(text).toContain('spared { "eth1" }')
  })

  test('changes by what differs alone', () => {
    const after = [binding('veth0000002', '172.18.0.3', 4)]
    const change = changeBindings(
      elementsOf(bindings(...PORTS, ...after), DEFAULT_MARKS.rights),
      elementsOf(WEB, DEFAULT_MARKS.rights),
      DEFAULT_MARKS.rights,
    )
    expect(change.split('\n').filter(Boolean)).toEqual([
      'delete element bridge embargod-bindings ports { "veth0000002" }',
      'delete element bridge embargod-bindings macs { "veth0000002" . 02:42:ac:12:00:02 }',
      `delete element bridge embargod-bindings rights4 { "veth0000002" . 02:42:ac:12:00:02 . 172.18.0.3 : 0x${classMark(DEFAULT_MARKS, 4).toString(16).padStart(8, '0')} }`,
      'delete element bridge embargod-bindings quotes4 { "veth0000002" . 02:42:ac:12:00:02 . 2886860803 }',
      'delete element bridge embargod-bindings taken4 { 172.18.0.3 }',
      `delete element inet embargod-bindings again4 { 02:42:ac:12:00:02 . 172.18.0.3 : goto rights-${classMark(DEFAULT_MARKS, 4).toString(16)} }`,
    ])
  })

  test('gives other rights by taking the old ones first', () => {
    const lines = changeBindings(
      elementsOf(WEB, DEFAULT_MARKS.rights),
      elementsOf(bindings(...PORTS.map((one) => ({ ...one, class: 9 }))), DEFAULT_MARKS.rights),
      DEFAULT_MARKS.rights,
    )
      .split('\n')
      .filter(Boolean)
    const verbs = (family: string) =>
      lines.filter((line) => line.includes(`element ${family} `)).map((line) => line.split(' ')[0])
    expect(verbs('bridge')).toEqual(['delete', 'delete', 'add', 'add'])
    expect(verbs('inet')).toEqual(['delete', 'delete', 'add', 'add'])
    // The chain is there before anything leads to it.
    expect(lines.findIndex((line) => line.startsWith('add chain'))).toBeLessThan(
      lines.findIndex((line) => line.startsWith('add element inet')),
    )
  })

  test('looks rights up again, but not for a sender that two ports share with different rights', () => {
    const again = (...ports: Binding[]) => [
      ...(elementsOf(bindings(...ports), DEFAULT_MARKS.rights).get('again4') ?? []),
    ]
    const mark = (id: number) =>
      `02:42:ac:12:00:02 . 172.18.0.2 : goto rights-${classMark(DEFAULT_MARKS, id).toString(16)}`
    const port = (name: string, id: number) => binding(name, '172.18.0.2', id)
    expect(again(port('veth1', 3))).toEqual([mark(3)])
    expect(again(port('veth1', 3), port('veth2', 3))).toEqual([mark(3)])
    expect(again(port('veth1', 3), port('veth2', 4))).toEqual([])
    expect(again(port('veth1', 3), port('veth2', 4), port('veth3', 3))).toEqual([])
  })

  test('is in sync for the bits that it was written for alone, and none of it is kept for others', () => {
    const saved = read(
      renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, 0xff80),
      elementsOf(WEB, DEFAULT_MARKS.rights),
    )
    expect([0xff80, DEFAULT_MARKS.rights].map((rights) => bindingRulesInSync(saved, rights))).toEqual([
      true,
      false,
    ])
    expect([0xff80, DEFAULT_MARKS.rights].map((rights) => ourElements(saved, rights).size > 0)).toEqual([
      true,
      false,
    ])
  })

  test.each([
    ['a rule of a class less', (text: string) => text.replace(/add rule inet.*\n/g, '')],
    [
      'another mark of a class',
      (text: string) => text.replace(/these rights \[.{8}/g, 'these rights [00000000'),
    ],
    ['no hook', (text: string) => text.replace('hook input priority -5', 'hook input priority 5')],
    ['no such table', (text: string) => text.replace(/table inet embargod-bindings \{\n[^]*$/, '')],
  ])('is not in sync where rights are looked up again with %s', (_, disturb) => {
    const text = renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, DEFAULT_MARKS.rights)
    expect(
      bindingRulesInSync(read(disturb(text), elementsOf(WEB, DEFAULT_MARKS.rights)), DEFAULT_MARKS.rights),
    ).toBe(false)
  })

  test('tells the mark of an address', () => {
    const marks = marksByAddress(
      read(
        renderBindings(elementsOf(WEB, DEFAULT_MARKS.rights), NONE, DEFAULT_MARKS.rights),
        elementsOf(WEB, DEFAULT_MARKS.rights),
      ),
    )
    expect([...marks]).toEqual([
      ['172.18.0.2', classMark(DEFAULT_MARKS, 3)],
      ['fd00:18::2', classMark(DEFAULT_MARKS, 3)],
    ])
  })

  test.each(['', '{', '{"nftables": [{"set": {"name": 1}}]}', '{"nftables": [{"metainfo": {}}'])(
    'half an answer is none: %s',
    (text) => {
      expect(() => parseBindings(text, undefined)).toThrow()
      expect(() => parseBindings('{"nftables": []}', text)).toThrow()
    },
  )
})

describe('of both tables', () => {
  const noTable = (argv: readonly string[]) =>
    new ToolError('nft', 'failed', argv, 1, 'Error: No such file or directory', '')
  const driver = (tables: Readonly<Record<string, string>>) =>
    new BindingsDriver(async (argv) => {
      const stdout = tables[argv[4] ?? '']
      if (stdout === undefined) throw noTable(argv)
      return { stdout, stderr: '', exitCode: 0 }
    })
  const empty = '{"nftables": []}'

  test('none is none, and one alone is out of sync and goes with the rest', async () => {
    expect(await driver({}).read()).toBeUndefined()
    for (const tables of [{ bridge: empty }, { inet: empty }]) {
      const saved = await driver(tables).read()
      expect(saved && bindingRulesInSync(saved, DEFAULT_MARKS.rights)).toBe(false)
    }
    for (const family of ['bridge', 'inet'])
      expect(removeBindings).toContain(`delete table ${family} embargod-bindings`)
  })
})
