import type { NameStatus } from '../resolve/model.ts'
import type { Unprotected } from '../workloads/model.ts'
import type { ResolverInUse } from '../workloads/resolvers/resolvers.ts'
import type { StrayRoute } from '../policy/stray-routes.ts'
import type { StrayDns } from '../workloads/resolvers/stray-dns.ts'

/** Why the report does not come from the daemon. */
export type WithoutDaemon = 'not-running' | 'not-answering'

/** What `embargod status --json` prints. Field names are an interface for operators' scripts. Values that only the daemon knows are null while it does not answer. */
export interface StatusReport {
  /** The worst problem of this host, in one line; `healthy` where nothing is wrong. */
  readonly headline: string
  /** `running` comes from the daemon; the others are put together from the kernel and the state directory. */
  readonly daemon: 'running' | WithoutDaemon
  readonly health: 'healthy' | 'degraded'
  /** Why it is degraded, in sentences. */
  readonly problems: readonly string[]
  readonly version: string
  readonly pid: number | undefined
  readonly startedAtMs: number | undefined
  readonly config: {
    readonly file: string
    readonly loadedAtMs: number | undefined
    /** False when the file on disk was refused and the last accepted one is enforced. */
    readonly lastReloadSuccessful: boolean
    /** Until when the config in force has to be confirmed, epoch ms; undefined: it is not on trial. */
    readonly confirmUntilMs: number | undefined
  }
  readonly backend: { readonly flavour: 'nft' | 'legacy' | 'unknown'; readonly engine: string }
  readonly docker: { readonly connected: boolean; readonly error: string | undefined }
  /** `rules`: the chains that give the verdict, in the path of DOCKER-USER; `backstop`: the independent table behind them. */
  readonly guards: readonly {
    readonly guard: 'rules' | 'backstop'
    readonly enforcing: boolean
    readonly detail: string
  }[]
  readonly networks: readonly {
    readonly name: string
    readonly bridge: string
    readonly guarded: boolean
    readonly why: string
    readonly deniedPackets: number | null
  }[]
  readonly policies: readonly {
    readonly policy: string
    readonly addresses: { readonly ipv4: number; readonly ipv6: number }
    readonly entries: number
  }[]
  /** Where there are policies: which container has which policies, for each network. */
  readonly containers: readonly {
    readonly container: string
    readonly network: string
    /** The policies whose allow lists hold. */
    readonly rights: readonly string[]
    readonly matched: readonly { readonly policy: string; readonly why: string }[]
    /** Whether the container is bound to its port and addresses; without that it has the rights of an unknown source. Undefined: it does not run. */
    readonly bound: boolean | undefined
    /** Whether it has the rights that all containers of its network share, since containers cannot be bound here. */
    readonly byNetwork: boolean
  }[]
  /** `untilMs`: when the right to the name ends by itself; absent: it lasts. */
  readonly names: readonly (NameStatus & { readonly untilMs?: number })[]
  readonly temporary: readonly { readonly entry: string; readonly untilMs: number }[]
  readonly counters: readonly {
    readonly family: 'ipv4' | 'ipv6'
    readonly policy: string
    readonly rule: string
    readonly action: string
    readonly packets: number
    readonly bytes: number
  }[]
  readonly drift: {
    readonly repairs: Readonly<Record<string, number>> | null
    readonly lastRepairMs: number | undefined | null
  }
  readonly lastReconcile: { readonly atMs: number; readonly outcome: string } | undefined | null
  readonly lastVerified: { readonly atMs: number; readonly passed: boolean } | undefined | null
  readonly unprotected: readonly Unprotected[]
  /** What looks like a mistake and may be intended, such as names in the config that no network or container of this host has. */
  readonly notes: readonly string[]
  /** Absent: there is no DNS gateway. */
  readonly dns?: {
    readonly port: number
    readonly cacheEntries: number | null
    readonly upstreams: readonly { readonly server: string; readonly up: boolean }[] | null
    /** Questions since the daemon started, by their outcome. */
    readonly outcomes: Readonly<Record<string, number>> | null
  }
  /** Name servers that containers may ask on port 53, each with the first source that named it. */
  readonly resolvers: readonly ResolverInUse[]
  /** Containers whose own `--dns` servers are denied. */
  readonly strayDns: readonly StrayDns[]
  /** Containers whose default route is a network on which they lack rights that they have on another one. */
  readonly strayRoutes: readonly StrayRoute[]
}
