import type { Address, Family, Hostname } from '../net/types.ts'
import type { RangeClass } from '../net/ranges.ts'
import { readSnapshot, type AddressStoreSnapshot } from './address-store-snapshot.ts'
import type {
  AdmitResult,
  AddressOwner,
  LiveAddress,
  AddressLimits,
  IsHostAddress,
  Lookup,
  NameState,
  NameStatus,
  NameUse,
  RecordResult,
} from './model.ts'
import { NameRecord } from './name-record.ts'
import type { ParseAddress } from './saved-name.ts'
import type { AnsweredAddress } from './sift.ts'

export interface AddressStoreOptions {
  readonly limits: AddressLimits
  readonly classify: (address: Address) => RangeClass
  readonly parseAddress: ParseAddress
}

const NOTHING: readonly LiveAddress[] = []
const NOT_CONFIGURED: AdmitResult = { live: [], full: false, changed: false }

/**
 * The live addresses of every configured name: the union of its answers over time. An address leaves for one reason only, a later
 * answer without it after its time is up (or its name's removal from the config); no failure takes anything away. That a name has no address of one
 * family is such an answer where it has some of the other; that it has none at all is a failure. Pure: time is an argument, epoch milliseconds.
 */
export class AddressStore {
  #limits: AddressLimits
  readonly #options: AddressStoreOptions
  readonly #names = new Map<Hostname, NameRecord>()
  readonly #changed = new Set<Hostname>()

  constructor(options: AddressStoreOptions) {
    this.#options = options
    this.#limits = options.limits
  }

  /** The names in force and how each may be used. New ones start empty; those that are missing here are forgotten with their addresses, those of the past too. */
  configure(names: ReadonlyMap<Hostname, NameUse>, limits: AddressLimits = this.#limits): void {
    this.#limits = limits
    for (const [name, record] of this.#names) {
      if (names.has(name)) continue
      this.#names.delete(name)
      if (record.size > 0) this.#changed.add(name)
    }
    for (const [name, use] of names) {
      const record = this.#names.get(name)
      if (!record) this.#names.set(name, new NameRecord(name, use, this.#options.classify))
      else if (record.setUse(use)) this.#changed.add(name)
    }
  }

  /** Takes in the outcome of a look-up. For a name that is not configured, or no longer, nothing changes. */
  record(
    name: Hostname,
    family: Family,
    lookup: Lookup,
    nowMs: number,
    isHostAddress: IsHostAddress,
  ): RecordResult {
    const record = this.#names.get(name)
    if (!record)
      return {
        added: [],
        removed: [],
        refused: [],
        refusedNow: [],
        overCap: 0,
        state: 'failing',
        transition: undefined,
      }
    const result = record.record(family, lookup, { nowMs, isHostAddress, limits: this.#limits })
    if (result.added.length > 0 || result.removed.length > 0) this.#changed.add(name)
    return result
  }

  /**
   * Takes in an address that stands in the kernel under this name and is not known here. False: it is live already, the name is not
   * configured or is full, or it may not have the address today.
   */
  adopt(
    name: Hostname,
    address: Address,
    seenAtMs: number,
    isHostAddress: IsHostAddress = () => false,
  ): boolean {
    const adopted = this.#names.get(name)?.adopt(address, seenAtMs, isHostAddress, this.#limits) ?? false
    if (adopted) this.#changed.add(name)
    return adopted
  }

  /**
   * Takes in addresses that a container is about to be told of. They stay for their TTL and `retain` from now on, whatever is known already. Until their TTL is
   * over no other address takes their place, and below a pattern each asker has a share of the room. A name that is not configured has none.
   */
  admit(
    name: Hostname,
    given: readonly AnsweredAddress[],
    asker: string,
    nowMs: number,
    isHostAddress: IsHostAddress,
  ): AdmitResult {
    const conditions = { nowMs, isHostAddress, limits: this.#limits }
    const result = this.#names.get(name)?.admit(given, asker, conditions)
    if (result?.changed) this.#changed.add(name)
    return result ?? NOT_CONFIGURED
  }

  /** Lets go what was not renewed in time. For names that only containers ask for, no look-up of ours would bring the answer that removes an address. */
  expire(names: Iterable<Hostname>, nowMs: number): void {
    for (const name of names) if (this.#names.get(name)?.expire(nowMs)) this.#changed.add(name)
  }

  liveAddresses(name: Hostname): readonly LiveAddress[] {
    return this.#names.get(name)?.liveAddresses() ?? NOTHING
  }

  /** Does the name hold this address, or did it since the name was configured (of the aged-out ones the newest 2,000 are remembered)? */
  hasHad(name: Hostname, address: Address): boolean {
    return this.#names.get(name)?.hasHad(address) ?? false
  }

  /** {@link hasHad} for many addresses at once. */
  namesThatHad(addresses: ReadonlySet<Address>): Map<Address, Set<Hostname>> {
    const found = new Map<Address, Set<Hostname>>()
    if (addresses.size === 0) return found
    for (const [name, record] of this.#names)
      for (const address of record.everLiveOf(addresses)) {
        const names = found.get(address)
        if (names) names.add(name)
        else found.set(address, new Set([name]))
      }
    return found
  }

  /** Names that have this address or had it lately. Those that have it come first. */
  belongings(address: Address): AddressOwner[] {
    const found: AddressOwner[] = []
    for (const [name, record] of this.#names) {
      const past = record.pastOf(address)
      if (past === undefined && !record.isLive(address)) continue
      found.push({ name, ...past, now: record.liveAddresses().map(({ address: live }) => live) })
    }
    return found.toSorted((a, b) => (b.leftAtMs ?? Infinity) - (a.leftAtMs ?? Infinity))
  }

  /** Is this name among those that {@link takeChanged} will return? */
  isChanged(name: Hostname): boolean {
    return this.#changed.has(name)
  }

  /** Are there names for {@link takeChanged}? */
  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  /** Names whose live addresses changed since the last call, removed names among them. */
  takeChanged(): Hostname[] {
    const names = [...this.#changed]
    this.#changed.clear()
    return names
  }

  state(name: Hostname): NameState | undefined {
    return this.#names.get(name)?.state
  }

  status(name: Hostname): NameStatus | undefined {
    return this.#names.get(name)?.status()
  }

  /** In the order of configuration. */
  statuses(): NameStatus[] {
    return Array.from(this.#names.values(), (record) => record.status())
  }

  counts(): Record<NameState, number> {
    const counts = { fresh: 0, stale: 0, failing: 0 }
    for (const record of this.#names.values()) if (!record.isPattern) counts[record.state]++
    return counts
  }

  /** What a later process needs, ready for JSON.stringify. */
  snapshot(): AddressStoreSnapshot {
    const names: AddressStoreSnapshot['names'] = []
    for (const record of this.#names.values()) if (record.worthSaving) names.push(record.snapshot())
    return { version: 1, names }
  }

  /**
   * Takes over what an earlier process held of names that are configured now: addresses keep their age and pass today's checks. What is
   * known already is left as it is. Throws a {@link SnapshotError} for anything that is no snapshot, and has then changed nothing.
   */
  restore(snapshot: unknown, nowMs: number, isHostAddress: IsHostAddress = () => false): void {
    const { names } = readSnapshot(snapshot)
    const conditions = { nowMs, isHostAddress, limits: this.#limits }
    for (const saved of names) {
      const record = this.#names.get(saved.name)
      if (record?.restore(saved, conditions, this.#options.parseAddress)) this.#changed.add(saved.name)
    }
  }
}
