#!/usr/bin/env bash
# test.sh            unit tests, then lab tests on Debian 12's engine
# test.sh lab        lab tests alone; EMBARGOD_LAB_ENGINE chooses the engine
# test.sh engines    lab tests on the later engines
# More arguments go to vitest. At the end: what failed, once more; a line for each suite in which tests were skipped since a tool is missing
# ("N skipped: nft is missing (N)"); and the sum as the last line: "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."

what=all
case "${1:-}" in lab | engines) what=$1; shift ;; esac

scripts/setup.sh || exit 1

passed=0 failed=0 broken=0 failures= skipped=
# Runs vitest, shows what it prints, and adds up its last line.
suite() {
  local title=$1 line output
  shift
  printf '\n== %s\n' "$title"
  output=$(mktemp)
  npx --no-install vitest run "$@" | tee "$output"
  local code=${PIPESTATUS[0]}
  line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$output" | tail -n 1)
  failures+=$(grep -a '^failed: ' "$output" | sed 's/^failed/\nfailed/')
  skipped+=$(grep -aE '^[0-9]+ skipped: ' "$output" | tail -n 1 | sed 's/^/\n/')
  rm -f "$output"
  if [ -z "$line" ]; then
    broken=1
    failed=$((failed + 1))
    return
  fi
  passed=$((passed + ${line%% passed*}))
  line=${line#*, }
  failed=$((failed + ${line%% failed}))
  [ "$code" = 0 ] || broken=1
}

lab() {
  EMBARGOD_LAB_ENGINE=$1 suite "lab tests on engine $1" --config test/lab/vitest.lab.config.ts "${@:2}"
}

case $what in
all)
  suite 'unit tests' "$@"
  lab "${EMBARGOD_LAB_ENGINE:-20.10}" "$@"
  ;;
lab) lab "${EMBARGOD_LAB_ENGINE:-20.10}" "$@" ;;
engines)
  lab 26.1 "$@"
  lab 28.5 "$@"
  ;;
esac

printf '%s\n%s\n%d passed, %d failed\n' "$failures" "$skipped" "$passed" "$failed"
[ "$failed" = 0 ] && [ "$broken" = 0 ]
