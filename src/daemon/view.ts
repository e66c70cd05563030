import type { StatusSources } from '../status/report.ts'
import type { World } from './compose.ts'

/** What the daemon knows now, for `status` and metrics. Reads nothing. */
export function viewOf({
  desired,
  names,
  telemetry,
  host,
  drivers,
  firewall,
  gateway,
}: World): StatusSources {
  const { counters, guards, proofs, gateway: gatewayTelemetry } = telemetry
  const { bindings, hostNetwork } = firewall.keepers
  const { dns } = desired.config
  return {
    desired,
    addressStore: names.addressStore,
    counters,
    host,
    guards,
    proven: proofs.hold,
    flavour: drivers.iptables.flavour,
    forgedFrames: bindings.dropped,
    hostNetworkProblem: hostNetwork.problem,
    dns: dns.gateway
      ? {
          port: dns.port,
          cacheEntries: gateway.cacheEntries,
          upstreams: gateway.upstreamHealth,
          outcomes: gatewayTelemetry.outcomes,
        }
      : undefined,
  }
}
