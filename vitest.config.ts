import { defineConfig } from 'vitest/config'

/** Unit tests: no engine, no kernel state, no network beyond loopback. */
export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    // A busy machine is no failure.
    testTimeout: 60_000,
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**/*.ts'] },
  },
})
