#!/usr/bin/env bash
# soak.sh                     sets up, then lets things happen to a guarded host for five minutes
# soak.sh --minutes 30        for longer
# soak.sh --seed 7            the same things again
# soak.sh --steps             names each
# soak.sh --write             also writes docs/soak.md
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec npx --no-install tsx test/lab/soak/main.ts "$@"
