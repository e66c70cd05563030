import type { DnsQuery } from './dns-main.ts'
import type { DnsScript } from './dns-script.ts'

/** A TCP connection that a server of the little internet accepted. */
export interface Visit {
  readonly atMs: number
  readonly port: number
  readonly to: string
  /** The host's address after masquerading, or the container's own. */
  readonly from: string
}

export type InetOrder =
  /** null takes a name's script away. */
  | { readonly do: 'dns'; readonly scripts: Readonly<Record<string, DnsScript | null>> }
  | { readonly do: 'dns-clear' }
  | { readonly do: 'queries' }
  | { readonly do: 'visits' }
  | { readonly do: 'forget' }
  /** Closes every connection from the server's side. */
  | { readonly do: 'hang-up' }

export type InetAnswer =
  | { readonly do: 'dns' | 'dns-clear' | 'forget' | 'hang-up' }
  | { readonly do: 'queries'; readonly queries: readonly DnsQuery[] }
  | { readonly do: 'visits'; readonly visits: readonly Visit[] }
