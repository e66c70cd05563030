#!/usr/bin/env bash
# bench.sh                          sets up, then measures every figure on a real engine
# bench.sh throughput start         these alone
# bench.sh --quick                  few rounds, to try it out
# bench.sh --containers=300 policies     with so many beside, instead of a thousand
# EMBARGOD_BENCH_BEFORE=FILE bench.sh throughput connections builds     beside another build of the program
# bench.sh --write                  also writes docs/benchmarks.md
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec npx --no-install tsx test/bench/bench.ts "$@"
