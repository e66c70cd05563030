#!/usr/bin/env bash
# faults.sh                    every fault at every call of a tool, in every kind of pass: takes an hour
# faults.sh reload drift       these kinds alone: first, start, reload, answer, drift, secondGuard
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
if [ $# -gt 0 ]; then
  EMBARGOD_FAULT_SCENES=$(IFS=,; echo "$*")
  export EMBARGOD_FAULT_SCENES
fi
EMBARGOD_FAULTS=all exec npx --no-install vitest run --disable-console-intercept \
  --config test/lab/vitest.lab.config.ts test/lab/faults-matrix.test.ts
