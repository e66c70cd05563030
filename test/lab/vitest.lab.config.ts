import { defineConfig } from 'vitest/config'

/** Real engines, two at a time: each lab is a host of its own, and most of a test is waiting. */
export default defineConfig({
  test: {
    include: ['test/lab/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
