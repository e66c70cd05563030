import { markGateway } from '../state/gateway-mark.ts'
import type { HostView } from '../host/host-view.ts'
import * as saved from '../state/formats.ts'
import type { SetWriter } from '../targets/ipset/set-writer.ts'
import type { Address } from '../net/types.ts'
import type { Logger } from '../observe/logger.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { FastPath } from '../targets/ipset/fast-path.ts'
import { libcOrWhyNot } from '../system/libc.ts'
import type { InheritedSocket } from '../system/inherited-sockets.ts'
import type { Health } from './health.ts'
import type { Telemetry } from './telemetry.ts'
import { KernelAdmission } from './admission.ts'
import { FullNames } from './full-names.ts'
import { DnsGateway } from './dns-gateway.ts'
import type { NameResolution } from './name-resolution.ts'
import type { OwnServers } from './own-servers.ts'
import type { Store } from './store.ts'

export interface GatewayParts {
  readonly telemetry: Telemetry
  readonly health: Health
  readonly desired: Desired
  readonly host: HostView
  readonly inherited: readonly InheritedSocket[]
  readonly fastPath: FastPath
  readonly log: Logger
  readonly names: NameResolution
  readonly ownServers: OwnServers
  readonly setWriter: Pick<SetWriter, 'open'>
  readonly store: Store
  /** The fast path writes an address that was not live for some name before. */
  readonly onIncluded: (address: Address) => void
  /** The kernel did not take an address: a pass has to find out why. */
  readonly onUnadmitted: () => void
}

const SAVE_CACHE_MS = 60_000
/** A container that found a question which causes a fault can ask it again and again. */
const FAULT_AGAIN_MS = 60_000

/** Connects the gateway with the address store, the kernel, the telemetry and the disk. */
export async function composeGateway(parts: GatewayParts): Promise<DnsGateway> {
  const {
    telemetry,
    health,
    desired,
    host,
    inherited,
    fastPath,
    log,
    names,
    ownServers,
    setWriter,
    store,
    onIncluded,
    onUnadmitted,
  } = parts
  let faultsToldAgainMs = 0
  let isSpeedTold = false
  const crowded = new FullNames((problem) => health.set('gateway-room', problem))
  const gateway: DnsGateway = new DnsGateway({
    admission: new KernelAdmission({
      addressStore: names.addressStore,
      isHostAddress: host.isHostAddress,
      desired,
      fastPath,
      onChange: () => names.changed(),
      onFull: (name, asker) => crowded.note(name, asker),
      onIncluded,
      onFailure: onUnadmitted,
    }),
    ownServers: (config) => ownServers.of(config),
    inherited,
    savedCache: await store.load('dns-cache', saved.savedDnsCache),
    onWanted: async (isWanted) => {
      // Before the first question, since starting a process may take longer than a question can wait.
      if (isWanted) {
        void setWriter.open()
        const libc = libcOrWhyNot()
        if (libc instanceof Error && !isSpeedTold)
          log.info(
            { why: libc.message },
            'the DNS gateway takes and gives one message at a time, which is slower',
          )
        isSpeedTold = true
      }
      await markGateway(store.directory, isWanted).catch((error: unknown) =>
        log.warn(
          { err: error },
          'the service manager is not told whether to hold the sockets of the gateway',
        ),
      )
    },
    onQuery: (report) => {
      telemetry.gateway.answered(report, desired.config.dns.log)
      if (report.outcome === 'answered') saves.request()
    },
    onState: (problem) => health.set('gateway', problem),
    onPort: (problem) => health.set('gateway-port', problem),
    onUpstreams: (problem) => health.set('gateway-upstreams', problem),
    onFault: (error) => {
      telemetry.gateway.faulted()
      if (performance.now() < faultsToldAgainMs) return
      faultsToldAgainMs = performance.now() + FAULT_AGAIN_MS
      log.error({ err: error }, 'a question could not be answered')
    },
  })
  const saves = store.queue('dns-cache', saved.savedDnsCache, SAVE_CACHE_MS, () => gateway.snapshot())
  return gateway
}
