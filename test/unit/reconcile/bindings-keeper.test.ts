import { expect, test } from 'vitest'
import type { Binding } from '../../../src/dataplane/model.ts'
import type { Address } from '../../../src/net/types.ts'
import { elementsOf, renderBindings, type SavedBindings } from '../../../src/nftables/bindings.ts'
import type { BindingsDriver } from '../../../src/nftables/bindings-driver.ts'
import { BindingsKeeper } from '../../../src/reconcile/bindings-keeper.ts'
import { ToolError } from '../../../src/system/exec.ts'

const BOUND: readonly Binding[] = [
  { port: 'veth1', mac: '02:42:ac:12:00:02', address: '172.18.0.2' as Address, mark: 0x60 },
]
const DROPPED = { forged: 0, claimed: 0 }
/** In the order in which the kernel lists the chains of the table. */
const fingerprints = [...renderBindings(BOUND, DROPPED).matchAll(/\[([0-9a-f]{8})\]"/g)].map(([, one]) => one)
const refused = () => new ToolError('nft: Operation not supported', 'failed', ['nft'], 1, '', '')

/** A kernel that takes and shows the table, but where it is told not to. */
class FakeTable {
  saved: SavedBindings | undefined
  refusesReads = false
  refusesWrites = false
  readonly keeper = new BindingsKeeper({
    read: async () => {
      if (this.refusesReads) throw refused()
      return this.saved
    },
    write: async () => {
      if (this.refusesWrites) throw refused()
      this.saved = { fingerprints, elements: elementsOf(BOUND), dropped: DROPPED }
    },
  } as Partial<BindingsDriver> as BindingsDriver)

  async pass(): Promise<void> {
    const change = await this.keeper.plan(BOUND, true)
    if (change) await this.keeper.apply(change)
  }
}

test('a kernel that refuses the table each time cannot have it, one that refuses it once can', async () => {
  const table = new FakeTable()
  table.refusesWrites = true
  await table.pass()
  expect([table.keeper.isHopeless, table.keeper.problem]).toEqual([false, expect.stringMatching(/supported/)])
  await table.pass()
  expect(table.keeper.isHopeless).toBe(true)
  table.refusesWrites = false
  await table.pass()
  expect([table.keeper.isHopeless, table.keeper.problem]).toEqual([false, undefined])
})

test('a table that stands goes on holding, however often the tool fails', async () => {
  const table = new FakeTable()
  await table.pass()
  table.refusesReads = table.refusesWrites = true
  for (let times = 0; times < 4; times += 1) await table.pass()
  expect([table.keeper.isHopeless, table.keeper.problem]).toEqual([false, expect.stringMatching(/supported/)])
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
