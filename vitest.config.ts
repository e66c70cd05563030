import { defineConfig } from 'vitest/config'

/** Unit tests: no engine, no kernel state, no network beyond loopback. */
export default defineConfig({
  test: {
    include: ['test/unit/**/*.test.ts'],
    setupFiles: ['test/support/setup.ts'],
    reporters: ['default', './test/support/count-reporter.ts'],
    // A busy machine is no failure.
    testTimeout: 120_000,
    maxWorkers: 2,
    // Files share the modules that they import: to load the whole tree again for each of them takes longer than the tests do.
    // So a test puts back what it changes of a module or of the process; `vi.mock` is not for us.
    isolate: false,
    restoreMocks: true,
    unstubEnvs: true,
    coverage: { provider: 'v8', include: ['src/**/*.ts'] },
  },
})
