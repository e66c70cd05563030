#!/usr/bin/env bash
# Makes a fresh Debian 12 or 13 ready for the tests and the demo: packages, node_modules, the bundle.
# Does only what is missing; starts no service, and leaves none enabled that it installed.
set -euo pipefail
cd "$(dirname "$0")/.."

required=(docker.io iptables ipset nftables conntrack iproute2 busybox-static curl bind9-dnsutils procps util-linux perl-base binutils xz-utils)
# Some tests and benchmarks need these; where a release has no such package, they say so themselves.
wanted=(docker-cli iperf3 wrk dnsperf nginx-light libnginx-mod-stream tcpdump ufw firewalld prometheus systemd debootstrap adns-tools dnsmasq-base iodine podman netavark lintian libfaketime)

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

installed() { [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = 'install ok installed' ]; }
missing_of() { for name in "$@"; do installed "$name" || printf '%s\n' "$name"; done; }

[ "$(id -u)" = 0 ] || fail 'must be run as root: it makes namespaces and starts a Docker engine in them'
command -v apt-get >/dev/null || fail 'needs Debian 12 or 13 (no apt-get here)'
command -v node >/dev/null && command -v npm >/dev/null || fail 'needs Node 20.19 or later, and npm'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' ||
  fail "needs Node 20.19 or later; this is $(node --version)"

policy=/usr/sbin/policy-rc.d
restore_policy() {
  rm -f "$policy"
  if [ -e "$policy.embargod" ]; then mv "$policy.embargod" "$policy"; fi
}

packages() { dpkg-query -W -f='${Package}\n' | sort -u; }

install_packages() {
  local before
  before=$(packages)
  say "installing $*"
  if [ -e "$policy" ]; then mv "$policy" "$policy.embargod"; fi
  trap restore_policy EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 0755 "$policy"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; fail 'apt-get install failed'; }
  restore_policy
  trap - EXIT
  # Not at the next boot either: nothing relies on a unit that was not there before.
  local added units
  added=$(comm -13 <(printf '%s\n' "$before") <(packages) | grep -v '^\(lib\)\?\(systemd\|dbus\)' || true)
  units=$(for name in $added; do dpkg -L "$name"; done | sed -n 's#^\(/usr\)\?/lib/systemd/system/\([A-Za-z0-9_-]*\.\(service\|socket\|timer\)\)$#\2#p')
  for unit in $units; do systemctl disable "$unit" >/dev/null 2>&1 || true; done
}

mkdir -p .cache
log=.cache/setup.log
mapfile -t missing < <(missing_of "${required[@]}" "${wanted[@]}")
# What this release does not have would be looked for at every start.
seen=.cache/packages-not-in-this-release
if [ "${#missing[@]}" -gt 0 ] && [ -e "$seen" ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | grep -vxFf "$seen" || true)
fi
if [ "${#missing[@]}" -gt 0 ]; then
  say 'reading the package lists'
  remember=$seen
  if ! apt-get -qq update >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    say 'apt-get update failed; going on with the lists there are'
    remember=/dev/null
  fi
  available=()
  for name in "${missing[@]}"; do
    if apt-cache show "$name" >/dev/null 2>&1; then available+=("$name"); else printf '%s\n' "$name" >>"$remember"; fi
  done
  for name in "${required[@]}"; do
    if installed "$name"; then continue; fi
    [[ " ${available[*]} " == *" $name "* ]] || { rm -f "$seen"; fail "this Debian has no package $name"; }
  done
  if [ "${#available[@]}" -gt 0 ]; then install_packages "${available[@]}"; fi
fi

stamp=node_modules/.lock-hash
hash=$(sha256sum package-lock.json | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$hash" ]; then
  say 'installing node modules'
  npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail 'npm ci failed'; }
  printf '%s\n' "$hash" >"$stamp"
fi

if [ -e src/main.ts ] && { [ ! -e dist/embargod.cjs ] || [ -n "$(find src scripts/build.ts package-lock.json -newer dist/embargod.cjs -print -quit)" ]; }; then
  say 'building dist/embargod.cjs'
  npm run -s build >"$log" 2>&1 || { tail -n 30 "$log" >&2; fail 'the build failed'; }
fi
say 'ready'
