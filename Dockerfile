# The daemon as a container, for hosts where nothing may be installed. Its guarantee is lower than the systemd unit's, see
# docs/container.md: it starts after Docker, and the engine's socket is root.
#
#   npm ci && npm run build && docker build --tag embargod .
#
# Where no registry can be reached: --build-arg NODE=… --build-arg BASE=… name images that are there. One that has the tools
# already is used as it is.
ARG NODE=node:22-bookworm-slim
ARG BASE=debian:bookworm-slim

# Of this one only the program: npm, yarn and their like stay behind.
FROM ${NODE} AS node
RUN cp "$(command -v node)" /node

FROM ${BASE}
RUN set -eu; \
  missing=; \
  for tool in iptables-restore ipset nft conntrack ip; do command -v "$tool" >/dev/null || missing=yes; done; \
  if [ -n "$missing" ]; then \
    apt-get update; \
    apt-get install -y --no-install-recommends iptables ipset nftables conntrack iproute2; \
    rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log; \
  fi; \
  mkdir -p /etc/embargod /var/lib/embargod /run/embargod; \
  ln -s /usr/lib/embargod/embargod.cjs /usr/bin/embargod
COPY --from=node /node /usr/local/bin/node
# The program, and beside it koffi.node where there is one for this machine.
COPY dist/ /usr/lib/embargod/

# Healthy: both guards stand and nothing is degraded. Docker only shows it; it restarts nothing for it.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=2 CMD embargod status >/dev/null || exit 1

# Stops, and leaves the rules in force.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/embargod"]
CMD ["run"]
