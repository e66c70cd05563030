import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/**
 * Prints `failed: WHERE` for each failure and `N passed, N failed` as the last line. Files that did not load and errors
 * outside tests count as failures.
 */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    let passed = 0
    const failed = unhandled.map(({ message }) => `outside tests: ${message.split('\n', 1).join()}`)
    for (const module of modules) {
      for (const { message } of module.errors())
        failed.push(`${module.relativeModuleId}: ${message.split('\n', 1).join()}`)
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed += 1
        if (state === 'failed') failed.push(`${module.relativeModuleId} > ${test.fullName}`)
      }
    }
    const lines = [...failed.map((where) => `failed: ${where}`), `${passed} passed, ${failed.length} failed`]
    // At exit, since other reporters print their summaries in the same hook, or later.
    process.once('exit', () => process.stdout.write(`\n${lines.join('\n')}\n`))
  }
}
