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
exec npx --no-install tsx test/lab/demo.ts "$@"
