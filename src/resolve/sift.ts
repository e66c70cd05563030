import type { RangeClass } from '../net/ranges.ts'
import { familyOf, type Address } from '../net/types.ts'
import { extend, type AddressPool } from './address-pool.ts'
import type { AddressLimits, IsHostAddress, LiveAddress } from './model.ts'
import type { PooledAddress } from './room.ts'

/** An address as an answer has it. */
export interface AnsweredAddress {
  readonly address: Address
  readonly ttlMs: number
}

/** What decides about an address at the moment in which it is seen. */
export interface Conditions {
  /** Epoch ms. */
  readonly nowMs: number
  readonly isHostAddress: IsHostAddress
  readonly limits: AddressLimits
}

/** @param known what is known of the address already */
export type RangeOf = (
  address: Address,
  known: LiveAddress | undefined,
  isHostAddress: IsHostAddress,
) => RangeClass

/** The addresses of one answer. */
export interface Sifted {
  /** Because of their range. */
  readonly refused: ReadonlySet<Address>
  readonly known: readonly PooledAddress[]
  /** Not yet in the pool, each once. */
  readonly fresh: readonly PooledAddress[]
}

/**
 * Containers ask for a name many times a second, and a map in which one key is moved again and again gets slow: among addresses that were seen within one second the
 * order does not matter.
 */
const MOVED_MS = 1_000
const NONE: ReadonlySet<Address> = new Set()
const NOTHING: readonly PooledAddress[] = []

/**
 * Renews what the pool has of an answer, and prepares what is new.
 * @param asker the container that is about to be told of it, which is a promise; undefined: a look-up of our own
 */
export function sift(
  given: readonly AnsweredAddress[],
  pool: AddressPool,
  rangeOf: RangeOf,
  asker: string | undefined,
  { nowMs, isHostAddress, limits }: Conditions,
): Sifted {
  const isPromised = asker !== undefined
  const known: PooledAddress[] = []
  let refused: Set<Address> | undefined
  let fresh: Map<Address, PooledAddress> | undefined
  for (const { address, ttlMs } of given) {
    const entry = pool.get(address)
    const range = rangeOf(address, entry, isHostAddress)
    if (range === 'refused') {
      refused ??= new Set()
      refused.add(address)
      continue
    }
    const lifeMs = isPromised ? ttlMs : Math.min(Math.max(ttlMs, 0), limits.refreshMaxMs)
    const expiresAtMs = nowMs + lifeMs + limits.retainMs
    const promisedUntilMs = isPromised ? nowMs + ttlMs : 0
    const twice = fresh?.get(address)
    if (entry) {
      if (!isPromised || nowMs - entry.seenAtMs >= MOVED_MS) pool.moveLast(entry)
      entry.seenAtMs = isPromised ? Math.max(entry.seenAtMs, nowMs) : nowMs
      extend(entry, expiresAtMs, promisedUntilMs)
      known.push(entry)
    } else if (twice) extend(twice, expiresAtMs, promisedUntilMs)
    else {
      fresh ??= new Map()
      fresh.set(address, {
        address,
        family: familyOf(address),
        private: range === 'private',
        seenAtMs: nowMs,
        expiresAtMs,
        promisedUntilMs,
        asker,
      })
    }
  }
  return { refused: refused ?? NONE, known, fresh: fresh ? [...fresh.values()] : NOTHING }
}
