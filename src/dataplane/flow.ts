import type { Address } from '../net/types.ts'

/** One tracked connection, as seen by the host before it rewrites the source. */
export interface Flow {
  readonly protocol: string
  readonly source: Address
  /** Where packets really go: behind any DNAT. */
  readonly destination: Address
  /** Undefined for protocols without ports. */
  readonly port: number | undefined
  readonly mark: number
}
