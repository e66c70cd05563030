import type { SerializedError, TestModule } from 'vitest/node'

/**
 * What a run says last: `failed: WHERE` for each failure; `N skipped: nft is missing (N)` where tests were skipped and said why; and
 * `N passed, N failed`. Files that did not load and errors outside tests count as failures.
 */
export function closingLines(
  modules: readonly TestModule[],
  unhandled: readonly Pick<SerializedError, 'message'>[],
): readonly string[] {
  let passed = 0
  const failed = unhandled.map(({ message }) => `outside tests: ${message.split('\n', 1).join()}`)
  const skipped = new Map<string, number>()
  for (const module of modules) {
    for (const { message } of module.errors())
      failed.push(`${module.relativeModuleId}: ${message.split('\n', 1).join()}`)
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === 'passed') passed += 1
      if (result.state === 'failed') failed.push(`${module.relativeModuleId} > ${test.fullName}`)
      if (result.state === 'skipped' && result.note !== undefined)
        skipped.set(result.note, (skipped.get(result.note) ?? 0) + 1)
    }
  }
  return [
    ...failed.map((where) => `failed: ${where}`),
    ...skippedLine(skipped),
    `${passed} passed, ${failed.length} failed`,
  ]
}

function skippedLine(skipped: ReadonlyMap<string, number>): readonly string[] {
  if (skipped.size === 0) return []
  const total = [...skipped.values()].reduce((sum, count) => sum + count, 0)
  return [`${total} skipped: ${[...skipped].map(([why, count]) => `${why} (${count})`).join(', ')}`]
}
