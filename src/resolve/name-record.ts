import { FAMILIES, familyOf, type Address, type Family, type Hostname } from '../net/types.ts'
import type { RangeClass } from '../net/ranges.ts'
import { AddressPool } from './address-pool.ts'
import { FamilyRecord, otherFamily } from './family-record.ts'
import type {
  AddressLimits,
  AdmitResult,
  IsHostAddress,
  LiveAddress,
  Lookup,
  NameState,
  NameStatus,
  NameUse,
  RecordResult,
} from './model.ts'
import type { Past } from './past-addresses.ts'
import type { PooledAddress } from './room.ts'
import { readSavedName, savedNameOf, type ParseAddress, type SavedName } from './saved-name.ts'
import { sift, type AnsweredAddress, type Conditions, type RangeOf } from './sift.ts'

const ALL_REFUSED: Lookup = { kind: 'error', detail: 'every address was refused because of its range' }

/** A name that answers with ever new refused addresses shall not fill the memory. */
const MAX_REFUSED_REMEMBERED = 256

/** Everything known of one name. Times are epoch ms. */
export class NameRecord {
  readonly #name: Hostname
  #use: NameUse
  readonly #classify: (address: Address) => RangeClass
  readonly #pool = new AddressPool()
  readonly #families: Readonly<Record<Family, FamilyRecord>> = {
    4: new FamilyRecord(4),
    6: new FamilyRecord(6),
  }
  readonly #refusedBefore = new Set<Address>()
  #reportedState: NameState | undefined

  constructor(name: Hostname, use: NameUse, classify: (address: Address) => RangeClass) {
    this.#name = name
    this.#use = use
    this.#classify = classify
  }

  /** It stands for names that are not listed, and is never looked up itself. */
  get isPattern(): boolean {
    return this.#name.startsWith('*')
  }

  get size(): number {
    return this.#pool.size
  }

  get state(): NameState {
    if (this.isPattern) return 'fresh'
    if (this.#pool.size === 0) return 'failing'
    return FAMILIES.some((family) => this.#isStale(family)) ? 'stale' : 'fresh'
  }

  liveAddresses(): readonly LiveAddress[] {
    return this.#pool.values()
  }

  hasHad(address: Address): boolean {
    return this.#pool.hasHad(address)
  }

  /** When the name had the address; undefined: it has it now, or never had it as far as is remembered. */
  pastOf(address: Address): Past | undefined {
    return this.#pool.past.get(address)
  }

  isLive(address: Address): boolean {
    return this.#pool.get(address) !== undefined
  }

  everLiveOf(addresses: ReadonlySet<Address>): Address[] {
    return this.#pool.everLiveOf(addresses)
  }

  /** Private addresses go, from the history too, when no entry lets the name have them any more: that is a revocation. True when any was live. */
  setUse(use: NameUse): boolean {
    const isRevoked = this.#use.private && !use.private
    this.#use = use
    if (!isRevoked) return false
    const { size } = this.#pool
    this.#pool.revokePrivate((address) => this.#classify(address) !== 'public')
    return this.#pool.size < size
  }

  /** Takes in what a look-up of our own brought. */
  record(family: Family, lookup: Lookup, conditions: Conditions): RecordResult {
    const { nowMs, limits } = conditions
    const familyRecord = this.#families[family]
    const otherRecord = this.#families[otherFamily(family)]
    const records = lookup.kind === 'addresses' ? lookup.records : []
    const { refused, known, fresh } = sift(records, this.#pool, this.#rangeOf, undefined, conditions)
    const isRefusedWhole = known.length + fresh.length === 0 && refused.size > 0
    // An answer of nothing but refused addresses says nothing about the name, so it takes nothing away.
    familyRecord.note(isRefusedWhole ? ALL_REFUSED : lookup, nowMs, otherRecord)
    if (records.length > 0) familyRecord.refused = [...refused]
    const refusals = { refused: [...refused], refusedNow: this.#rememberRefused(refused) }
    if (known.length + fresh.length === 0) return this.#result(refusals)
    const answered = new Set([...known, ...fresh].map(({ address }) => address))
    const isAnswered = (address: Address): boolean => answered.has(address)
    const removed = this.#pool.removeUnanswered(family, isAnswered, nowMs, limits)
    if (otherRecord.seemsWithdrawn) removed.push(...this.#withdraw(otherRecord, nowMs, limits))
    const most = limits.maxAddressesPerName
    const evicted = this.#pool.makeRoom(family, fresh.length, isAnswered, nowMs, most)
    const added = fresh.slice(0, Math.max(0, most - this.#pool.sizeOf(family)))
    for (const entry of added) this.#pool.add(entry)
    familyRecord.overCap = evicted.length + fresh.length - added.length
    return this.#result({
      added: added.map(({ address }) => address),
      removed: [...removed, ...evicted],
      ...refusals,
      overCap: familyRecord.overCap,
    })
  }

  /** Takes in what a container is about to be told. */
  admit(given: readonly AnsweredAddress[], asker: string, conditions: Conditions): AdmitResult {
    const { known, fresh } = sift(given, this.#pool, this.#rangeOf, asker, conditions)
    if (fresh.length === 0) return { live: known, full: false, changed: false }
    const { nowMs, limits } = conditions
    const addresses = new Set(given.map(({ address }) => address))
    const isGiven = (address: Address): boolean => addresses.has(address)
    const added: PooledAddress[] = []
    // Where there was no place for one address of this answer there is none for those behind it.
    const isFull: Record<Family, boolean> = { 4: false, 6: false }
    for (const entry of fresh) {
      const { family } = entry
      isFull[family] ||= !this.#pool.takePlace(
        family,
        asker,
        this.isPattern,
        isGiven,
        nowMs,
        limits.maxAddressesPerName,
      )
      if (isFull[family]) continue
      this.#pool.add(entry)
      this.#families[family].everAnswered = true
      added.push(entry)
    }
    return { live: [...known, ...added], full: isFull[4] || isFull[6], changed: added.length > 0 }
  }

  /** True: something went. */
  expire(nowMs: number): boolean {
    return this.#pool.expire(nowMs).length > 0
  }

  /** False: it is live already, there is no room, or the name may not have it today. */
  adopt(
    address: Address,
    seenAtMs: number,
    isHostAddress: IsHostAddress,
    limits: AddressLimits,
    expiresAtMs: number = seenAtMs + limits.retainMs,
  ): boolean {
    const family = familyOf(address)
    const range = this.#rangeOf(address, undefined, isHostAddress)
    if (this.isLive(address) || range === 'refused') return false
    if (this.#pool.sizeOf(family) >= limits.maxAddressesPerName) return false
    this.#pool.add({
      address,
      family,
      private: range === 'private',
      seenAtMs: Math.max(0, seenAtMs),
      expiresAtMs,
      promisedUntilMs: expiresAtMs - limits.retainMs,
      asker: undefined,
    })
    this.#families[family].everAnswered = true
    return true
  }

  status(): NameStatus {
    const { 4: four, 6: six } = this.#families
    const hasNone = this.#pool.size === 0
    const errors = FAMILIES.filter((family) => hasNone || this.#isStale(family))
      .map((family) => this.#families[family].error)
      .filter((error) => error !== undefined)
    const successes = [four.lastSuccessMs, six.lastSuccessMs].filter((ms) => ms !== undefined)
    return {
      name: this.#name,
      state: this.state,
      addresses: this.liveAddresses(),
      lastSuccessMs: successes.length > 0 ? Math.max(...successes) : undefined,
      lastError: errors.length > 0 ? errors.join('; ') : undefined,
      refused: [...four.refused, ...six.refused],
      overCap: four.overCap + six.overCap,
    }
  }

  /** Is there anything that a later process would miss? */
  get worthSaving(): boolean {
    return this.#pool.size > 0 || this.#pool.past.size > 0
  }

  snapshot(): SavedName {
    return savedNameOf(this.#name, this.#pool, this.status().lastSuccessMs)
  }

  /** True when an address was taken over. */
  restore(saved: SavedName, conditions: Conditions, parseAddress: ParseAddress): boolean {
    const { nowMs, isHostAddress, limits } = conditions
    const { past, live } = readSavedName(saved, nowMs, limits, parseAddress)
    for (const { address, ...times } of past)
      if (this.#rangeOf(address, undefined, isHostAddress) !== 'refused') this.#pool.past.add(address, times)
    let hasRestored = false
    for (const { address, seenAtMs, expiresAtMs } of live)
      if (this.adopt(address, seenAtMs, isHostAddress, limits, expiresAtMs)) hasRestored = true
    for (const record of [this.#families[4], this.#families[6]])
      if (record.everAnswered && saved.lastSuccessMs !== undefined)
        record.lastSuccessMs ??= Math.min(saved.lastSuccessMs, nowMs)
    return hasRestored
  }

  /** What the name may have today; `private` only where an entry lets it. */
  readonly #rangeOf: RangeOf = (address, known, isHostAddress) => {
    if (isHostAddress(address)) return 'refused'
    const range = known ? (known.private ? 'private' : 'public') : this.#classify(address)
    return range === 'private' && !this.#use.private ? 'refused' : range
  }

  #isStale(family: Family): boolean {
    return this.#families[family].isStaleBeside(this.#families[otherFamily(family)])
  }

  /** A family that the name seems to have no more: its addresses go as their time is over. */
  #withdraw(record: FamilyRecord, nowMs: number, limits: AddressLimits): Address[] {
    const removed = this.#pool.removeUnanswered(record.family, () => false, nowMs, limits)
    // From now on it is a name that has addresses of one family only.
    if (this.#pool.sizeOf(record.family) === 0) record.everAnswered = false
    return removed
  }

  #rememberRefused(refused: ReadonlySet<Address>): Address[] {
    const fresh: Address[] = []
    for (const address of refused) {
      if (this.#refusedBefore.has(address) || this.#refusedBefore.size >= MAX_REFUSED_REMEMBERED) continue
      this.#refusedBefore.add(address)
      fresh.push(address)
    }
    return fresh
  }

  #result(changes: Partial<RecordResult>): RecordResult {
    const state = this.state
    const isSettled = this.#families[4].asked && this.#families[6].asked
    const isNews = isSettled && state !== this.#reportedState
    const transition = isNews ? { from: this.#reportedState, to: state } : undefined
    if (isSettled) this.#reportedState = state
    return { added: [], removed: [], refused: [], refusedNow: [], overCap: 0, ...changes, state, transition }
  }
}
