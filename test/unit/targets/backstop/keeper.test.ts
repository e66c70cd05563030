import { expect, test } from 'vitest'
import { DEFAULT_MARKS } from '../../../../src/config/marks.ts'
import type { Backstop } from '../../../../src/dataplane/model.ts'
import type { BackstopDriver } from '../../../../src/targets/backstop/driver.ts'
import { BackstopKeeper } from '../../../../src/targets/backstop/keeper.ts'
import type { OwnedTable } from '../../../../src/targets/backstop/owned-table.ts'
import { parseBackstop, type SavedBackstop } from '../../../../src/targets/backstop/parse.ts'
import { renderBackstop } from '../../../../src/targets/backstop/render.ts'
import type { Phase } from '../../../../src/targets/keeper.ts'

const NOW: Backstop = { marks: DEFAULT_MARKS, generation: 3, open: [], stacked: [] }
const BEFORE = { generation: 2, marks: DEFAULT_MARKS }
const BOTH: readonly Phase[] = ['before rules', 'after rules']

/** A kernel that takes the table, but where it is told not to. */
class FakeTables {
  saved: SavedBackstop | undefined
  /** The generations that each written table lets pass. */
  readonly written: (readonly number[])[] = []
  readonly owned: (readonly number[])[] = []
  refuses = false
  readonly keeper = new BackstopKeeper(
    {
      read: async () => this.saved,
      write: async (text: string) => {
        if (this.refuses) throw new Error('refused')
        this.saved = parseBackstop(listed(text))
        this.written.push(this.saved.generations)
      },
    } as Partial<BackstopDriver> as BackstopDriver,
    {
      changeFor: async (desired: Backstop) => ({ desired, isNews: true }),
      write: async ({ former = [], generation }: Backstop) =>
        void this.owned.push([...former.map((one) => one.generation), generation]),
    } as Partial<OwnedTable> as OwnedTable,
  )

  async plan(former: Backstop['former'] = [], isToLook = true) {
    await this.keeper.look({ backstop: NOW }, { parts: new Set(isToLook ? (['backstop'] as const) : []) })
    return this.keeper.plan({ backstop: NOW, former })
  }
}

/** As nft lists it: hooks are named by their tables. */
const listed = (text: string): string =>
  `${text
    .split('\n')
    .slice(2)
    .join('\n')
    .trim()
    .replaceAll('priority 10;', 'priority filter + 10;')
    .replace('priority -310;', 'priority raw - 10;')}\n`

test('where there is no backstop both tables are written before the rules, and not again after them', async () => {
  const tables = new FakeTables()
  const change = await tables.plan()
  expect(change).toMatchObject({ isBare: true, drift: ['backstop'] })
  if (change) await tables.keeper.apply(change, ['before rules'])
  expect(tables.written).toEqual([[3]])
  if (change) await tables.keeper.apply(change, ['after rules'])
  expect([tables.written, tables.owned]).toEqual([[[3]], [[3]]])
})

test('while the generation changes both tables take both generations, and only the new one after the rules', async () => {
  const tables = new FakeTables()
  tables.saved = parseBackstop(listed(renderBackstop({ ...NOW, generation: 2 })))
  const change = await tables.plan([BEFORE])
  if (change) await tables.keeper.apply(change, BOTH)
  expect(tables.written).toEqual([[2, 3], [3]])
  expect(tables.owned).toEqual([[2, 3], [3]])
})

test('a write that fails does not reject, is the failure, and makes the next plan write it again', async () => {
  const tables = new FakeTables()
  tables.refuses = true
  const change = await tables.plan()
  if (change) await tables.keeper.apply(change, BOTH)
  expect(tables.keeper.failure).toMatchObject({ message: 'writing the backstop table' })
  expect(tables.keeper.isInForce).toBe(false)
  tables.refuses = false
  const again = await tables.plan()
  if (again) await tables.keeper.apply(again, BOTH)
  expect([tables.keeper.failure, tables.keeper.isInForce]).toEqual([undefined, true])
})

test('a pass that leaves the backstop out plans nothing for it, and says nothing new of it', async () => {
  const tables = new FakeTables()
  const change = await tables.plan()
  if (change) await tables.keeper.apply(change, BOTH)
  expect(await tables.plan([BEFORE], false)).toBeUndefined()
  expect(tables.keeper).toMatchObject({ seen: undefined, isInForce: true, failure: undefined })
})
