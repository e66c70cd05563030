import type { Reporter, SerializedError, TestModule } from 'vitest/node'
import { closingLines } from './closing-lines.ts'

/** Prints the {@link closingLines} of a run behind everything else. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const lines = closingLines(modules, unhandled)
    // At exit, since other reporters print their summaries in the same hook, or later.
    process.once('exit', () => process.stdout.write(`\n${lines.join('\n')}\n`))
  }
}
