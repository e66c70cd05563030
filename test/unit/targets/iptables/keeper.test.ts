import { expect, test } from 'vitest'
import type { TableChange } from '../../../../src/targets/iptables/diff.ts'
import type { IptablesDriver } from '../../../../src/targets/iptables/driver.ts'
import { RulesKeeper, rulesChange } from '../../../../src/targets/iptables/keeper.ts'
import { PARTS } from '../../../../src/targets/keeper.ts'

const change = (family: 4 | 6, table: TableChange['table'], ...summary: string[]): TableChange => ({
  family,
  table,
  input: '',
  summary,
})

/** Writes down what is written; refuses one table. */
function keeperOf(refused?: string) {
  const written: string[] = []
  const driver: Partial<IptablesDriver> = {
    readSome: async () => ({}),
    leftovers: async () => ({ changes: [], problem: 'native rules' }),
    write: async ({ family, table, flavour = 'in use' }) => {
      const name = `${family} ${table} ${flavour}`
      await Promise.resolve()
      written.push(name)
      if (name === refused) throw new Error(name)
    },
  }
  return { written, keeper: new RulesKeeper(driver as IptablesDriver) }
}

const CHANGE = rulesChange(
  [change(4, 'raw', 'a'), change(4, 'filter', 'jump first from FORWARD'), change(6, 'filter', 'b')],
  [{ ...change(4, 'filter', 'remove chain EMBARGOD'), flavour: 'legacy' }],
)

test('verdicts of both families come first, and rules of the other flavour go last', async () => {
  const { written, keeper } = keeperOf()
  if (CHANGE) await keeper.apply(CHANGE)
  expect(written).toEqual(['4 filter in use', '6 filter in use', '4 raw in use', '4 filter legacy'])
})

test('where a family refuses its table the other family is written, and nothing after them', async () => {
  const { written, keeper } = keeperOf('4 filter in use')
  await expect(CHANGE && keeper.apply(CHANGE)).rejects.toThrow('4 filter in use')
  expect(written).toEqual(['4 filter in use', '6 filter in use'])
})

test('a change names family, table and flavour, and tells a moved jump from other drift', () => {
  expect(CHANGE?.summary).toEqual([
    'IPv4 raw: a',
    'IPv4 filter: jump first from FORWARD',
    'IPv6 filter: b',
    'IPv4 filter (legacy): remove chain EMBARGOD',
  ])
  expect(CHANGE?.drift).toEqual(['rules', 'jump', 'rules'])
  expect(rulesChange([], [])).toBeUndefined()
})

test('the other flavour is looked at only where every part is', async () => {
  const { keeper } = keeperOf()
  await keeper.look({}, { parts: new Set([4] as const) })
  expect(keeper.leftoverProblem).toBeUndefined()
  await keeper.look({}, { parts: new Set(PARTS) })
  expect(keeper.leftoverProblem).toBe('native rules')
})
