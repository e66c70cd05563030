import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { TestModule } from 'vitest/node'
import { closingLines } from '../../support/closing-lines.ts'
import { hasTool, needsTool } from '../../support/needs-tool.ts'
import { scratchDirectory } from '../../support/scratch.ts'

interface Outcome {
  readonly state: 'passed' | 'failed' | 'skipped'
  readonly note?: string
}

const moduleOf = (outcomes: readonly Outcome[], errors: readonly string[] = []) =>
  ({
    relativeModuleId: 'test/a.test.ts',
    errors: () => errors.map((message) => ({ message })),
    children: {
      allTests: () => outcomes.map((outcome, at) => ({ fullName: `test ${at}`, result: () => outcome })),
    },
  }) as unknown as TestModule

test('the last line counts what passed and what failed, and nothing else', () => {
  const outcomes: Outcome[] = [{ state: 'passed' }, { state: 'failed' }, { state: 'skipped' }]
  expect(closingLines([moduleOf(outcomes)], [])).toEqual([
    'failed: test/a.test.ts > test 1',
    '1 passed, 1 failed',
  ])
})

test('what was not run for want of a tool is counted in a line above it', () => {
  const without = (note: string): Outcome => ({ state: 'skipped', note })
  const modules = [
    moduleOf([{ state: 'passed' }, without('nft is missing'), without('perl is missing')]),
    moduleOf([without('nft is missing')]),
  ]
  expect(closingLines(modules, [])).toEqual([
    '3 skipped: nft is missing (2), perl is missing (1)',
    '1 passed, 0 failed',
  ])
})

test('a file that does not load and an error outside tests are failures', () =>
  expect(closingLines([moduleOf([], ['no such module\nat line 1'])], [{ message: 'late' }])).toEqual([
    'failed: outside tests: late',
    'failed: test/a.test.ts: no such module',
    '0 passed, 2 failed',
  ]))

test('a tool is a program on the path', async () => {
  const directory = await scratchDirectory()
  for (const name of ['program', 'text']) await writeFile(join(directory, name), '')
  await chmod(join(directory, 'program'), 0o755)
  await chmod(join(directory, 'text'), 0o644)
  const path = `/nonexistent:${directory}`
  expect(['program', 'text', 'none'].map((name) => hasTool(name, path))).toEqual([true, false, false])
  const skip = vi.fn<(condition: boolean, note: string) => void>()
  needsTool('no-such-tool')({ skip } as never)
  expect(skip.mock.calls).toEqual([[true, 'no-such-tool is missing']])
})
