#!/usr/bin/env bash
# demo.sh            sets up, then shows what embargod does on a real engine
# demo.sh --keep     leaves the box open afterwards, with commands to try
# demo.sh --down     removes it
set -euo pipefail
cd "$(dirname "$0")/.."

for argument in "$@"; do
  if [ "$argument" = --down ]; then exec npx --no-install tsx test/lab/down.ts; fi
done
scripts/setup.sh
# Not by way of npx: Ctrl-C has to reach the demo itself, and the prompt to come back after the box is gone.
exec node --import tsx test/lab/demo.ts "$@"
