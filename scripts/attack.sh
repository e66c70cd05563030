#!/usr/bin/env bash
# attack.sh                              sets up, then plays a hostile container, host process, name server and accomplice
# attack.sh reserved-echo4 fuzz          these attacks alone
# attack.sh --engine 28.5                on another engine, or on `all`
# attack.sh --quick                      the short battery that the tests play, with fewer packets
# attack.sh --seed 7                     the same random packets again
# attack.sh --write                      also writes docs/attacks.md
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
exec npx --no-install tsx test/lab/attack/main.ts "$@"
