import { FAMILIES, familyOf, type Address, type Family, type Hostname } from '../net/types.ts'
import type { RangeClass } from '../net/ranges.ts'
import { FamilyRecord } from './family-record.ts'
import type { SavedName } from './ledger-snapshot.ts'
import type {
  AdmitResult,
  HeldAddress,
  LedgerLimits,
  Lookup,
  NameState,
  NameStatus,
  NameUse,
  RecordResult,
} from './model.ts'
import { PastAddresses } from './past-addresses.ts'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

const ALL_REFUSED: Lookup = { kind: 'error', detail: 'every address was refused because of its range' }

/** Of what was seen within one second the order does not matter. */
const MOVED_MS = 1_000

/** Who may have to make room. One that was seen again since it was found is none any more. */
interface Candidate {
  readonly held: HeldAddress
  readonly seenAtMs: number
}
const LOOKED_FOR_TOGETHER = 64

/** A name that answers with ever new refused addresses shall not fill the memory. */
const MAX_REFUSED_REMEMBERED = 256

/** Everything known of one name. Times are epoch ms. */
export class NameRecord {
  readonly #name: Hostname
  #use: NameUse
  readonly #classify: (address: Address) => RangeClass
  /** The longest unseen first. */
  readonly #held = new Map<Address, Mutable<HeldAddress>>()
  #longestUnseen: readonly Candidate[] = []
  #nextUnseen = 0
  readonly #sizes: Record<Family, number> = { 4: 0, 6: 0 }
  readonly #past = new PastAddresses()
  readonly #families: Readonly<Record<Family, FamilyRecord>> = {
    4: new FamilyRecord(4),
    6: new FamilyRecord(6),
  }
  readonly #refusedBefore = new Set<Address>()
  #told: NameState | undefined

  constructor(name: Hostname, use: NameUse, classify: (address: Address) => RangeClass) {
    this.#name = name
    this.#use = use
    this.#classify = classify
  }

  /** It stands for names that nobody lists: nobody resolves it. */
  get isPattern(): boolean {
    return this.#name.startsWith('*')
  }

  get size(): number {
    return this.#held.size
  }

  get state(): NameState {
    if (this.isPattern) return 'fresh'
    if (this.#held.size === 0) return 'failing'
    return this.#families[4].stale || this.#families[6].stale ? 'stale' : 'fresh'
  }

  held(): readonly HeldAddress[] {
    return [...this.#held.values()]
  }

  everHeld(address: Address): boolean {
    return this.#held.has(address) || this.#past.has(address)
  }

  /** Private addresses go, from the history too, when no entry lets the name have them any more: that is a revocation. True when any was held. */
  setUse(use: NameUse): boolean {
    const revoked = this.#use.private && !use.private
    this.#use = use
    if (!revoked) return false
    const sizeBefore = this.#held.size
    for (const held of this.#held.values()) if (held.private) this.#drop(held.address)
    for (const address of this.#past) if (this.#classify(address) !== 'public') this.#past.delete(address)
    return this.#held.size < sizeBefore
  }

  record(
    family: Family,
    lookup: Lookup,
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: LedgerLimits,
  ): RecordResult {
    const familyRecord = this.#families[family]
    const records = lookup.kind === 'addresses' ? lookup.records : []
    const answered = new Set<Address>()
    const refused = new Set<Address>()
    const fresh: Mutable<HeldAddress>[] = []
    for (const { address, ttlMs } of records) {
      const held = this.#held.get(address)
      const range = this.#rangeOf(address, held, isHostAddress)
      if (range === 'refused') {
        refused.add(address)
        continue
      }
      const life = Math.min(Math.max(ttlMs, 0), limits.refreshMaxMs) + limits.retainMs
      if (held) {
        held.seenAtMs = nowMs
        // A container may have been promised more than this answer does.
        held.expiresAtMs = Math.max(held.expiresAtMs, nowMs + life)
        this.#moveLast(held)
      } else if (!answered.has(address)) {
        fresh.push({
          address,
          family,
          private: range === 'private',
          seenAtMs: nowMs,
          expiresAtMs: nowMs + life,
        })
      }
      answered.add(address)
    }
    // An answer of nothing but refused addresses is no news of the name: whoever gave it takes nothing away with it.
    familyRecord.book(answered.size === 0 && refused.size > 0 ? ALL_REFUSED : lookup, nowMs)
    if (records.length > 0) familyRecord.refused = [...refused]
    const told = { refused: [...refused], refusedNow: this.#rememberRefused(refused) }
    if (answered.size === 0) return this.#result(told)
    const removed = this.#removeExpired(family, answered, nowMs, limits)
    const evicted = this.#makeRoom(family, (address) => answered.has(address), fresh.length, limits)
    const room = Math.max(0, limits.maxAddressesPerName - this.#sizes[family])
    const added = fresh.slice(0, room)
    for (const item of added) this.#hold(item)
    return this.#result({
      added: added.map(({ address }) => address),
      removed: [...removed, ...evicted],
      ...told,
      overCap: evicted.length + fresh.length - added.length,
    })
  }

  admit(
    given: readonly { readonly address: Address; readonly ttlMs: number }[],
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: LedgerLimits,
  ): AdmitResult {
    const held: HeldAddress[] = []
    const refused: Address[] = []
    const fresh: Mutable<HeldAddress>[] = []
    for (const { address, ttlMs } of given) {
      const known = this.#held.get(address)
      const range = this.#rangeOf(address, known, isHostAddress)
      if (range === 'refused') {
        refused.push(address)
        continue
      }
      if (!known) {
        const expiresAtMs = nowMs + ttlMs + limits.retainMs
        const isPrivate = range === 'private'
        fresh.push({ address, family: familyOf(address), private: isPrivate, seenAtMs: nowMs, expiresAtMs })
        continue
      }
      // Not each time: a map in which one key is moved again and again gets slow.
      if (nowMs - known.seenAtMs >= MOVED_MS) this.#moveLast(known)
      known.seenAtMs = Math.max(known.seenAtMs, nowMs)
      known.expiresAtMs = Math.max(known.expiresAtMs, nowMs + ttlMs + limits.retainMs)
      held.push(known)
    }
    if (fresh.length === 0) return { held, refused, changed: false }
    const isGiven = (address: Address): boolean => given.some((one) => one.address === address)
    for (const item of fresh) {
      const { address, family, expiresAtMs } = item
      const twice = fresh.length > 1 ? this.#held.get(address) : undefined
      if (twice) {
        twice.expiresAtMs = Math.max(twice.expiresAtMs, expiresAtMs)
        continue
      }
      this.#makeRoom(family, isGiven, 1, limits)
      if (this.#sizes[family] >= limits.maxAddressesPerName) continue
      this.#hold(item)
      this.#families[family].everAnswered = true
      held.push(item)
    }
    return { held, refused, changed: true }
  }

  /** True: something went. */
  expire(nowMs: number): boolean {
    const expired = [...this.#held.values()].filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
    for (const { address } of expired) this.#letGo(address)
    return expired.length > 0
  }

  adopt(
    address: Address,
    seenAtMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: LedgerLimits,
    expiresAtMs: number = seenAtMs + limits.retainMs,
  ): boolean {
    const family = familyOf(address)
    const range = this.#rangeOf(address, undefined, isHostAddress)
    if (this.#held.has(address) || range === 'refused') return false
    if (this.#sizes[family] >= limits.maxAddressesPerName) return false
    this.#hold({
      address,
      family,
      private: range === 'private',
      seenAtMs: Math.max(0, seenAtMs),
      expiresAtMs,
    })
    this.#families[family].everAnswered = true
    return true
  }

  status(): NameStatus {
    const { 4: four, 6: six } = this.#families
    const nothing = this.#held.size === 0
    const errors = [four, six].filter((family) => nothing || family.stale).map(({ error }) => error)
    const refused = [...four.refused, ...six.refused]
    const known = errors.filter((error) => error !== undefined)
    const successes = [four.lastSuccessMs, six.lastSuccessMs].filter((ms) => ms !== undefined)
    return {
      name: this.#name,
      state: this.state,
      addresses: this.held(),
      lastSuccessMs: successes.length > 0 ? Math.max(...successes) : undefined,
      lastError: known.length > 0 ? known.join('; ') : undefined,
      refused,
    }
  }

  /** Is there anything that a later process would miss? */
  get worthSaving(): boolean {
    return this.#held.size > 0 || this.#past.size > 0
  }

  snapshot(): SavedName {
    const held = this.held()
    const { lastSuccessMs } = this.status()
    return {
      name: this.#name,
      ...(lastSuccessMs === undefined ? {} : { lastSuccessMs }),
      held: held.map(({ address }) => address),
      seen: held.map(({ seenAtMs }) => seenAtMs),
      expires: held.map(({ expiresAtMs }) => expiresAtMs),
      past: [...this.#past],
    }
  }

  /** Times from the future (the clock was wrong then or is now) are pulled back to `nowMs`. True when an address was taken over. */
  restore(
    saved: SavedName,
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: LedgerLimits,
    parseAddress: (text: string) => Address | undefined,
  ): boolean {
    let restored = false
    for (const text of saved.past) {
      const address = parseAddress(text)
      if (address !== undefined && this.#rangeOf(address, undefined, isHostAddress) !== 'refused')
        this.#past.add(address)
    }
    saved.held.forEach((text, index) => {
      const address = parseAddress(text)
      if (address === undefined) return
      const seenAtMs = Math.min(saved.seen[index] ?? 0, nowMs)
      const latestMs = seenAtMs + Math.max(limits.refreshMaxMs, limits.promiseMaxMs) + limits.retainMs
      const expiresAtMs = Math.min(saved.expires[index] ?? 0, latestMs)
      if (this.adopt(address, seenAtMs, isHostAddress, limits, expiresAtMs)) restored = true
    })
    for (const family of FAMILIES) {
      const record = this.#families[family]
      if (record.everAnswered && saved.lastSuccessMs !== undefined) {
        record.lastSuccessMs ??= Math.min(saved.lastSuccessMs, nowMs)
      }
    }
    return restored
  }

  /** What may be held today; `private` only where an entry lets it. */
  #rangeOf(
    address: Address,
    held: HeldAddress | undefined,
    isHostAddress: (address: Address) => boolean,
  ): RangeClass {
    if (isHostAddress(address)) return 'refused'
    const range = held ? (held.private ? 'private' : 'public') : this.#classify(address)
    return range === 'private' && !this.#use.private ? 'refused' : range
  }

  #hold(item: Mutable<HeldAddress>): void {
    this.#held.set(item.address, item)
    this.#sizes[item.family]++
    this.#past.delete(item.address)
  }

  #moveLast(item: Mutable<HeldAddress>): void {
    this.#held.delete(item.address)
    this.#held.set(item.address, item)
  }

  #letGo(address: Address): void {
    this.#drop(address)
    this.#past.add(address)
  }

  #drop(address: Address): void {
    this.#held.delete(address)
    this.#sizes[familyOf(address)]--
  }

  #removeExpired(
    family: Family,
    answered: ReadonlySet<Address>,
    nowMs: number,
    limits: LedgerLimits,
  ): Address[] {
    const removed: Address[] = []
    for (const held of this.#held.values()) {
      if (held.family !== family || answered.has(held.address)) continue
      // The clock was put back: without this the address would stay until the old time comes again.
      if (held.seenAtMs > nowMs) {
        held.seenAtMs = nowMs
        held.expiresAtMs = Math.min(held.expiresAtMs, nowMs + limits.refreshMaxMs + limits.retainMs)
      } else if (nowMs >= held.expiresAtMs && nowMs > held.seenAtMs) removed.push(held.address)
    }
    for (const address of removed) this.#letGo(address)
    return removed
  }

  /** Lets the longest unseen go, so far as new ones need their room. What this answer holds stays. */
  #makeRoom(
    family: Family,
    isAnswered: (address: Address) => boolean,
    needed: number,
    limits: LedgerLimits,
  ): Address[] {
    const excess = this.#sizes[family] + needed - limits.maxAddressesPerName
    if (needed === 0 || excess <= 0) return []
    const evicted: Address[] = []
    while (evicted.length < excess) {
      const address = this.#takeLongestUnseen(family, isAnswered)
      if (address === undefined) break
      this.#letGo(address)
      evicted.push(address)
    }
    return evicted
  }

  /** Looked for some at a time: to find the first of a map is to pass over the places of all that left it. */
  #takeLongestUnseen(family: Family, isAnswered: (address: Address) => boolean): Address | undefined {
    const isStill = ({ held, seenAtMs }: Candidate): boolean =>
      held.family === family &&
      held.seenAtMs === seenAtMs &&
      this.#held.get(held.address) === held &&
      !isAnswered(held.address)
    while (this.#nextUnseen < this.#longestUnseen.length) {
      const next = this.#longestUnseen[this.#nextUnseen++]
      if (next && isStill(next)) return next.held.address
    }
    const found: Candidate[] = []
    for (const held of this.#held.values()) {
      if (found.length === LOOKED_FOR_TOGETHER) break
      if (held.family === family && !isAnswered(held.address)) found.push({ held, seenAtMs: held.seenAtMs })
    }
    this.#longestUnseen = found
    this.#nextUnseen = 1
    return found[0]?.held.address
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
    const settled = this.#families[4].asked && this.#families[6].asked
    const transition = settled && state !== this.#told ? { from: this.#told, to: state } : undefined
    if (settled) this.#told = state
    return { added: [], removed: [], refused: [], refusedNow: [], overCap: 0, ...changes, state, transition }
  }
}
