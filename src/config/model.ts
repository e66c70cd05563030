import type { NameServer } from '../dns/name-server.ts'
import type { Address, Cidr, Hostname, PortList } from '../net/types.ts'
import type { MarkLayout } from './marks.ts'

/** The accepted configuration: every value parsed, every default filled in, files and shorthands expanded. */
export interface Config {
  readonly denyWith: 'drop' | 'reject'
  readonly docker: { readonly socket: string }
  readonly guard: GuardConfig
  readonly resolver: ResolverConfig
  /** Name servers that containers may ask; empty: those of the host and of the engine. */
  readonly dns: {
    readonly servers: readonly Address[]
    /** New flows of one container to name servers. */
    readonly ratePerContainer: Rate
  } & GatewayConfig
  readonly allow: readonly AllowEntry[]
  /** In the order of the file: where two of them disagree, the first decides. */
  readonly policies: readonly PolicyConfig[]
  readonly never: readonly Cidr[]
  readonly metadata: { readonly block: boolean; readonly extra: readonly Cidr[] }
  readonly smtp: SmtpConfig | undefined
  readonly log: { readonly level: LogLevel; readonly blocked: boolean }
  readonly metrics: { readonly listen: { readonly host: string; readonly port: number } }
  /** How often the daemon makes a proof; undefined: never. */
  readonly verify: { readonly everyMs: number | undefined }
  /** Directory of everything that outlives the process. */
  readonly state: string
}

/** How questions of containers are answered, where they are led to the gateway. */
export interface GatewayConfig {
  readonly gateway: boolean
  /** Name servers that the gateway asks; empty: those of the host. */
  readonly upstreams: readonly NameServer[]
  /** What a forbidden name gets; `zero`: 0.0.0.0 and ::. */
  readonly denied: 'nxdomain' | 'refused' | 'zero'
  readonly log: 'denied' | 'all' | 'none'
  /** How long an answer may wait for the kernel before it is withheld. */
  readonly maxHoldMs: number
  readonly minTtlMs: number
  readonly maxTtlMs: number
  /** Local port, UDP and TCP. */
  readonly port: number
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'

export interface GuardConfig {
  /** Docker network names to guard, or all. */
  readonly networks: 'all' | readonly string[]
  /** Docker network names left alone. */
  readonly except: readonly string[]
  /** Bridge interface names that are not Docker's and are none of our business; a trailing `*` stands for any ending. */
  readonly ignoreInterfaces: readonly string[]
  /** One packet-mark bit. */
  readonly mark: number
  readonly marks: Omit<MarkLayout, 'approval'>
  /** What containers may reach on the host's own addresses. */
  readonly hostServices: 'all' | HostServices
  /** Who gets answers from a container: clients of its published ports, or anyone who can reach it. */
  readonly inbound: 'published' | 'any'
  /** Are containers on the host's network held to policy? */
  readonly hostNetwork: boolean
  /** What traffic from sources that are not known containers may reach. */
  readonly unknown: 'common' | 'deny'
  /** How long the first packets of a container are held until its rights are known; 0: not at all. */
  readonly holdNewMs: number
  /** Does the label `embargod.policy` attach a policy? */
  readonly labels: 'ignore' | 'honour'
}

export interface HostServices {
  /** Published ports of other containers. */
  readonly published: boolean
  /** `icmp` among them is a ping. */
  readonly ports: PortList
}

/** More, or less, for some containers. */
export interface PolicyConfig {
  /** `[a-z0-9-]`, at most 16. */
  readonly id: string
  /** The policy applies where one of these matches. */
  readonly match: readonly PolicyMatch[]
  readonly allow: readonly AllowEntry[]
  /** False: the common list does not apply to its containers. */
  readonly inherit: boolean
  readonly metadata: 'deny' | 'allow'
  readonly attachable: boolean
  /** Undefined: as for all. */
  readonly smtp: SmtpConfig | undefined
  readonly denyWith: 'drop' | 'reject' | undefined
}

/** All keys that are given must match. */
export interface PolicyMatch {
  readonly network?: string | undefined
  readonly compose?: { readonly project: string; readonly service: string | undefined } | undefined
  readonly label?: { readonly key: string; readonly value: string } | undefined
  /** A container's name; `*` stands for any text, `?` for one character. */
  readonly container?: string | undefined
}

export interface ResolverConfig {
  /** Name servers that embargod itself asks; empty: those of the host. */
  readonly servers: readonly NameServer[]
  readonly timeoutMs: number
  readonly refresh: { readonly minMs: number; readonly maxMs: number }
  /** A cron expression of five or six fields, UTC. */
  readonly sweep: string
  readonly maxQueriesPerSecond: number
  readonly retainMs: number
  readonly maxStaleMs: number
  readonly maxAddressesPerName: number
}

/** One target with its ports: `domains:` and `file:` entries are flattened, one entry each. */
export interface AllowEntry {
  readonly target: AllowTarget
  readonly ports: PortList
  /** May answers be RFC 1918 / ULA? */
  readonly private: boolean
  /** Epoch milliseconds after which the entry no longer counts. */
  readonly untilMs: number | undefined
  readonly comment: string | undefined
  /** `file:line:col` for people. */
  readonly where: string
}

export type AllowTarget =
  | { readonly kind: 'domain'; readonly name: Hostname }
  /** `*.suffix`: one label below it; `**.suffix`: one or more. Neither is the suffix itself. */
  | { readonly kind: 'wildcard'; readonly suffix: Hostname; readonly depth: 'one' | 'any' }
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'internet' }

export interface Rate {
  readonly count: number
  readonly per: 'second' | 'minute' | 'hour' | 'day'
}

export interface SmtpConfig {
  readonly ports: readonly number[]
  readonly rate: Rate
  readonly burst: number
  readonly per: 'container' | 'host'
  readonly destinations: 'allowed' | 'any'
}

/** One thing wrong with a config, with its place. */
export interface Problem {
  /** `note`: nothing is wrong, but the config has an effect that the file does not state. */
  readonly severity: 'error' | 'warning' | 'note'
  readonly file: string
  readonly line: number
  readonly column: number
  /** What is wrong and what to do, without the place. */
  readonly message: string
}
