#!/usr/bin/env bash
# boots.sh    installs the package on a host, boots it ten times, and counts what gets out of it meanwhile
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
EMBARGOD_LAB_BOOTS=10 exec npx --no-install vitest run --config test/lab/vitest.lab.config.ts test/lab/package.test.ts
