import type { Cidr, Hostname, PortList } from '../net/types.ts'
import type { Ends } from './ends.ts'

/** What containers may do, free of files, times and Docker: the input of the dataplane. */
export interface Policies {
  /** Every policy that gives rights; `common` is the list of every guarded container. */
  readonly policies: readonly Policy[]
  /** Names to be resolved, over all policies; no patterns. */
  readonly names: ReadonlyMap<Hostname, { readonly private: boolean }>
  /** Patterns (`*.example.com`, `**.example.com`), over all policies: what is asked below them brings their addresses. */
  readonly patterns: ReadonlyMap<Hostname, { readonly private: boolean }>
  /** Epoch ms at which an entry ends by itself and the policy has to be compiled again. */
  readonly nextEndMs: number | undefined
  /** Epoch ms from which live connections are judged again, since a right has ended or a trial is over; absent: no right ends. */
  readonly admittedUntilMs?: number | undefined
  /** Epoch ms at which the trial of the config ends that gives these rights; absent: it is on none. */
  readonly trialEndMs?: number | undefined
  /** Equal digests mean equal rights: a change of it puts every live connection to the test again. */
  readonly digest: string
}

export interface Policy {
  readonly id: string
  /** One group a port list, in order of first mention. */
  readonly groups: readonly Group[]
  /** Port lists of `to: internet`. */
  readonly internet: readonly PortList[]
  /** When those of them end that do, by the text of the port list; absent: all last. */
  readonly internetEnds?: ReadonlyMap<string, number> | undefined
}

/** All targets that share a port list: what becomes one set a family. */
export interface Group {
  readonly ports: PortList
  /** Patterns among them. The value says whether private addresses of the name count. */
  readonly names: ReadonlyMap<Hostname, boolean>
  /** The value is what an operator reads beside the element. */
  readonly cidrs: ReadonlyMap<Cidr, string>
  /** Absent: all of them last. */
  readonly ends?: Ends | undefined
}
