import { expect, test } from 'vitest'
import { KINDS } from '../../bench/bounds.ts'

/** A measurement that nobody makes for weeks still works when somebody does. */
test.each(KINDS)('can be measured: %s', async (_what, _count, prepare) => {
  const work = await prepare(4)
  expect(await work()).toBeDefined()
})
