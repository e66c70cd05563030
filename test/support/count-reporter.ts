import type { Reporter, SerializedError, TestModule } from 'vitest/node'

/** Prints `N passed, N failed` as the last line; files that did not load and errors outside tests count as failures. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: unhandled.length }
    for (const module of modules) {
      counts.failed += module.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') counts.passed += 1
        if (state === 'failed') counts.failed += 1
      }
    }
    const { passed, failed } = counts
    // At exit, since other reporters print their summaries in the same hook, or later.
    process.once('exit', () => process.stdout.write(`\n${passed} passed, ${failed} failed\n`))
  }
}
