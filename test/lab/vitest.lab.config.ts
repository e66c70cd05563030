import { defineConfig } from 'vitest/config'

/** Real engines on two cores: one file, one test at a time. */
export default defineConfig({
  test: {
    include: ['test/lab/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    reporters: ['default', './test/support/count-reporter.ts'],
  },
})
