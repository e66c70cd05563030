#!/usr/bin/env bash
# leaks.sh                                sets up, then disturbs a flooded host in every way and counts what gets out
# leaks.sh flush-forward daemon-kill      these disturbances alone
# leaks.sh --engine 28.5                  on another engine, or on `all`
# leaks.sh --quick                        a tenth of each, to try it out
# leaks.sh --write                        also writes docs/leaks.md
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec npx --no-install tsx test/lab/leak/main.ts "$@"
