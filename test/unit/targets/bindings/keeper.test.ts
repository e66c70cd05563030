import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import type { Bindings, DesiredBindings } from '../../../../src/dataplane/model.ts'
import type { Address } from '../../../../src/net/types.ts'
import { elementsOf } from '../../../../src/targets/bindings/elements.ts'
import {
  removeBindings,
  renderBindings,
  type SavedBindings,
} from '../../../../src/targets/bindings/render.ts'
import type { BindingsDriver } from '../../../../src/targets/bindings/driver.ts'
import { BindingsKeeper } from '../../../../src/targets/bindings/keeper.ts'
import { ToolError } from '../../../../src/system/exec.ts'
import { savedAgain } from '../../../support/saved-again.ts'

const NOBODY: Bindings = { ports: [], gateways: [], spared: [] }
const BOUND: Bindings = {
  ...NOBODY,
  ports: [
    {
      port: 'veth1',
      mac: '02:42:ac:12:00:02',
      address: '172.18.0.2' as Address,
      class: 3,
    },
  ],
}
const RIGHTS = DEFAULT_MARKS.rights
const DROPPED = { forged: 0, claimed: 0 }
const whole = renderBindings(elementsOf(BOUND, RIGHTS), DROPPED, RIGHTS)
const again = savedAgain(whole)
const bridgeTable = whole.split('table inet embargod-bindings {\n')[0] ?? ''
/** In the order in which the kernel lists the chains of the table. */
const fingerprints = [...bridgeTable.matchAll(/\[([0-9a-f]{8})\]"/g)].map(([, one]) => one)
const refused = () => new ToolError('nft: Operation not supported', 'failed', ['nft'], 1, '', '')

/** A kernel that takes and shows the table, but where it is told not to. */
class FakeTable {
  saved: SavedBindings | undefined
  readonly written: string[] = []
  refusesReads = false
  refusesWrites = false
  readonly keeper = new BindingsKeeper({
    read: async () => {
      if (this.refusesReads) throw refused()
      return this.saved
    },
    write: async (text: string) => {
      if (this.refusesWrites) throw refused()
      this.written.push(text)
      this.saved = { fingerprints, elements: elementsOf(BOUND, RIGHTS), dropped: DROPPED, again }
    },
  } as Partial<BindingsDriver> as BindingsDriver)

  async plan(bindings: DesiredBindings) {
    const desired = { bindings, marks: DEFAULT_MARKS }
    await this.keeper.look(desired, { parts: new Set(['bindings'] as const) })
    return this.keeper.plan(desired)
  }

  async pass(desired: DesiredBindings = BOUND): Promise<void> {
    const change = await this.plan(desired)
    if (change) await this.keeper.apply(change, ['after rules'])
  }
}

test('a kernel that refuses the table each time cannot have it, one that refuses it once can', async () => {
  const table = new FakeTable()
  table.refusesWrites = true
  await table.pass()
  expect([table.keeper.isUnsupported, table.keeper.problem]).toEqual([
    false,
    expect.stringMatching(/supported/),
  ])
  await table.pass()
  expect(table.keeper.isUnsupported).toBe(true)
  table.refusesWrites = false
  await table.pass()
  expect([table.keeper.isUnsupported, table.keeper.problem]).toEqual([false, undefined])
})

test('a table that stands goes on holding, however often the tool fails', async () => {
  const table = new FakeTable()
  await table.pass()
  table.refusesReads = table.refusesWrites = true
  for (let times = 0; times < 4; times += 1) await table.pass()
  expect([table.keeper.isUnsupported, table.keeper.problem]).toEqual([
    false,
    expect.stringMatching(/supported/),
  ])
})

test('a look that failed is forgotten when the next one finds all as it ought to be', async () => {
  const table = new FakeTable()
  await table.pass()
  table.refusesReads = table.refusesWrites = true
  await table.pass()
  table.refusesReads = false
  await table.pass()
  expect(table.keeper.problem).toBeUndefined()
})

test('while nobody says who there is, what stands is kept', async () => {
  const table = new FakeTable()
  table.saved = { fingerprints, elements: elementsOf(BOUND, RIGHTS), dropped: DROPPED, again }
  await table.pass('kept')
  expect(table.written).toEqual([])
  // Somebody takes an element out, or all of it.
  table.saved = { fingerprints, elements: elementsOf(NOBODY, RIGHTS), dropped: DROPPED, again }
  await table.pass('kept')
  table.saved = undefined
  await table.pass('kept')
  expect(table.written).toHaveLength(2)
  for (const text of table.written) expect(text).toContain('172.18.0.2 : 0x00000018')
})

test('of a table that an earlier version wrote the bindings are kept, and of none that cannot be read anything is written', async () => {
  const earlier = new FakeTable()
  const elements = new Map([...elementsOf(BOUND, RIGHTS), ['of-old', new Set(['x'])]])
  earlier.saved = { fingerprints: [undefined], elements, dropped: DROPPED, again }
  await earlier.pass('kept')
  expect(earlier.written).toEqual([renderBindings(elementsOf(BOUND, RIGHTS), DROPPED, RIGHTS)])
  const unreadable = new FakeTable()
  unreadable.refusesReads = true
  await unreadable.pass('kept')
  expect(unreadable.written).toEqual([])
  expect(unreadable.keeper.problem).toMatch(/supported/)
})

test("numbers in other bits are nobody's rights: such a table goes ahead of the rules, and none of it is kept", async () => {
  const earlier = new FakeTable()
  earlier.saved = {
    fingerprints: [undefined],
    elements: elementsOf(BOUND, RIGHTS),
    dropped: DROPPED,
    again: savedAgain(renderBindings(elementsOf(BOUND, RIGHTS), DROPPED, 0x3fe0)),
  }
  const change = await earlier.plan('kept')
  expect(change?.elements).toEqual(new Map())
  if (change) await earlier.keeper.apply(change, ['before rules'])
  expect(earlier.written).toEqual([`${removeBindings}\n`])
  // Where the numbers lie where they ought to, nobody is unknown for a moment.
  const same = new FakeTable()
  same.saved = { fingerprints: [undefined], elements: elementsOf(BOUND, RIGHTS), dropped: DROPPED, again }
  const rewrite = await same.plan(BOUND)
  if (rewrite) await same.keeper.apply(rewrite, ['before rules'])
  expect(same.written).toEqual([])
})

test.each([
  ['a port', { ports: [] }],
  ['an address of a bridge', { gateways: ['172.18.0.1' as Address] }],
  ['a port of a bridge that is left alone', { spared: ['eth1'] }],
])('%s that comes or goes is written', async (_, other) => {
  const table = new FakeTable()
  await table.pass()
  // Once nothing is to be written what was wanted is taken for what is there.
  expect(await table.keeper.bindNow(BOUND)).toBeUndefined()
  expect(await table.keeper.bindNow({ ...BOUND, ...other })).toBeDefined()
  expect(table.written).toHaveLength(2)
})
