import type { Address, Family, Hostname } from '../net/types.ts'

/** What one question (one name, one family) brought. Only `addresses` changes what is known. */
export type Lookup =
  | {
      readonly kind: 'addresses'
      readonly records: readonly { readonly address: Address; readonly ttlMs: number }[]
    }
  /** No data, or a CNAME chain that ends without an address. */
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'nxdomain' | 'servfail' | 'refused' | 'timeout' | 'malformed' | 'error'
      readonly detail: string
    }

/** How a name may be used: the union over all entries that mention it. */
export interface NameUse {
  /** At least one entry lets it resolve to RFC 1918 / ULA. */
  readonly private: boolean
}

/** One live address of a name. */
export interface LiveAddress {
  readonly address: Address
  readonly family: Family
  /** RFC 1918 or ULA: usable only by entries with `private: true`. */
  readonly private: boolean
  /** Epoch ms of the last answer that contained it. */
  readonly seenAtMs: number
  /** Epoch ms from which a successful answer without it removes it: seen + min(TTL, refresh.max) + retain. */
  readonly expiresAtMs: number
}

/** fresh: the last look-up of every family that ever answered succeeded, or found none beside addresses of the other family; stale: the addresses are those of older answers; failing: no address is known. */
export type NameState = 'fresh' | 'stale' | 'failing'

export interface NameStatus {
  readonly name: Hostname
  readonly state: NameState
  readonly addresses: readonly LiveAddress[]
  /** Epoch ms of the last successful look-up, undefined when there never was one. */
  readonly lastSuccessMs: number | undefined
  readonly lastError: string | undefined
  /** Answers refused because of their range. */
  readonly refused: readonly Address[]
  /** Addresses that had no room when the last answer came. */
  readonly overCap: number
}

/** A name that has an address, or had it. */
export interface AddressOwner {
  readonly name: Hostname
  /** Epoch ms of the last answer that contained it, and of when it was let go, 0 where that is not known; absent: the name has it now. */
  readonly seenAtMs?: number
  readonly leftAtMs?: number
  /** What the name has now. */
  readonly now: readonly Address[]
}

/** Is this one of the host's own addresses? No name may lead there. */
export type IsHostAddress = (address: Address) => boolean

/** What became of addresses that a container is about to be told of. */
export interface AdmitResult {
  readonly live: readonly LiveAddress[]
  /** Some found no place: all were promised to containers, or are the share of others. */
  readonly full: boolean
  /** The name holds other addresses than before. */
  readonly changed: boolean
}

export interface AddressLimits {
  /** No TTL counts for more. */
  readonly refreshMaxMs: number
  /** The longest TTL that a container is told. */
  readonly promiseMaxMs: number
  /** How long an address stays after its TTL. */
  readonly retainMs: number
  /** For each family of a name. */
  readonly maxAddressesPerName: number
}

export interface RecordResult {
  readonly added: readonly Address[]
  readonly removed: readonly Address[]
  /** All addresses of this answer that were refused because of their range. */
  readonly refused: readonly Address[]
  /** Those of them that were not refused before, for the log. */
  readonly refusedNow: readonly Address[]
  /** Addresses that had no room under the cap: older ones that made room, and new ones that found none. */
  readonly overCap: number
  readonly state: NameState
  /** A change of state, once both families have been asked; `from` is undefined the first time. */
  readonly transition: { readonly from: NameState | undefined; readonly to: NameState } | undefined
}
