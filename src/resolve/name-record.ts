import { FAMILIES, familyOf, type Address, type Family, type Hostname } from '../net/types.ts'
import type { RangeClass } from '../net/ranges.ts'
import { FamilyRecord } from './family-record.ts'
import type { SavedName } from './address-store-snapshot.ts'
import type {
  AdmitResult,
  LiveAddress,
  AddressLimits,
  Lookup,
  NameState,
  NameStatus,
  NameUse,
  RecordResult,
} from './model.ts'
import { PastAddresses, type Past } from './past-addresses.ts'
import { Room, type Kept } from './room.ts'

const ALL_REFUSED: Lookup = { kind: 'error', detail: 'every address was refused because of its range' }

/** Of what was seen within one second the order does not matter. */
const MOVED_MS = 1_000

/** A name that answers with ever new refused addresses shall not fill the memory. */
const MAX_REFUSED_REMEMBERED = 256

const NONE: ReadonlySet<Address> = new Set()

/** Everything known of one name. Times are epoch ms. */
export class NameRecord {
  readonly #name: Hostname
  #use: NameUse
  readonly #classify: (address: Address) => RangeClass
  /** The longest unseen first. */
  readonly #live = new Map<Address, Kept>()
  readonly #rooms: Readonly<Record<Family, Room>> = { 4: new Room(this.#live, 4), 6: new Room(this.#live, 6) }
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
    return this.#live.size
  }

  get state(): NameState {
    if (this.isPattern) return 'fresh'
    if (this.#live.size === 0) return 'failing'
    return FAMILIES.some((family) => this.#isStale(family)) ? 'stale' : 'fresh'
  }

  liveAddresses(): readonly LiveAddress[] {
    return [...this.#live.values()]
  }

  hasHad(address: Address): boolean {
    return this.#live.has(address) || this.#past.has(address)
  }

  /** When it was of this name; undefined: it is now, or never was as far as is remembered. */
  pastOf(address: Address): Past | undefined {
    return this.#past.get(address)
  }

  isLive(address: Address): boolean {
    return this.#live.has(address)
  }

  /** Which of these: the fewer of both are gone through. */
  everHeldOf(addresses: ReadonlySet<Address>): Address[] {
    if (addresses.size <= this.#live.size + this.#past.size)
      return [...addresses].filter((address) => this.hasHad(address))
    return [...this.#live.keys(), ...this.#past].filter((address) => addresses.has(address))
  }

  /** Private addresses go, from the history too, when no entry lets the name have them any more: that is a revocation. True when any was held. */
  setUse(use: NameUse): boolean {
    const revoked = this.#use.private && !use.private
    this.#use = use
    if (!revoked) return false
    const sizeBefore = this.#live.size
    for (const held of this.#live.values()) if (held.private) this.#drop(held)
    for (const address of this.#past) if (this.#classify(address) !== 'public') this.#past.delete(address)
    return this.#live.size < sizeBefore
  }

  record(
    family: Family,
    lookup: Lookup,
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: AddressLimits,
  ): RecordResult {
    const familyRecord = this.#families[family]
    const otherFamily = family === 4 ? 6 : 4
    const otherRecord = this.#families[otherFamily]
    const records = lookup.kind === 'addresses' ? lookup.records : []
    const answered = new Set<Address>()
    const refused = new Set<Address>()
    const fresh: Kept[] = []
    for (const { address, ttlMs } of records) {
      const held = this.#live.get(address)
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
          promisedUntilMs: 0,
          asker: undefined,
        })
      }
      answered.add(address)
    }
    // An answer of nothing but refused addresses is no news of the name: whoever gave it takes nothing away with it.
    familyRecord.book(answered.size === 0 && refused.size > 0 ? ALL_REFUSED : lookup, nowMs, otherRecord)
    if (records.length > 0) familyRecord.refused = [...refused]
    const told = { refused: [...refused], refusedNow: this.#rememberRefused(refused) }
    if (answered.size === 0) return this.#result(told)
    const removed = this.#removeExpired(family, answered, nowMs, limits)
    if (otherRecord.seemsWithdrawn) {
      removed.push(...this.#removeExpired(otherFamily, NONE, nowMs, limits))
      // From now on it is a name that has addresses of one family only.
      if (this.#rooms[otherFamily].size === 0) otherRecord.everAnswered = false
    }
    const evicted = this.#makeRoom(family, answered, fresh.length, nowMs, limits)
    const room = Math.max(0, limits.maxAddressesPerName - this.#rooms[family].size)
    const added = fresh.slice(0, room)
    for (const item of added) this.#add(item)
    familyRecord.overCap = evicted.length + fresh.length - added.length
    return this.#result({
      added: added.map(({ address }) => address),
      removed: [...removed, ...evicted],
      ...told,
      overCap: familyRecord.overCap,
    })
  }

  admit(
    given: readonly { readonly address: Address; readonly ttlMs: number }[],
    asker: string,
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: AddressLimits,
  ): AdmitResult {
    const held: LiveAddress[] = []
    const refused: Address[] = []
    const fresh: Kept[] = []
    for (const { address, ttlMs } of given) {
      const known = this.#live.get(address)
      const range = this.#rangeOf(address, known, isHostAddress)
      if (range === 'refused') {
        refused.push(address)
        continue
      }
      if (!known) {
        fresh.push({
          address,
          family: familyOf(address),
          private: range === 'private',
          seenAtMs: nowMs,
          expiresAtMs: nowMs + ttlMs + limits.retainMs,
          promisedUntilMs: nowMs + ttlMs,
          asker,
        })
        continue
      }
      // Not each time: a map in which one key is moved again and again gets slow.
      if (nowMs - known.seenAtMs >= MOVED_MS) this.#moveLast(known)
      known.seenAtMs = Math.max(known.seenAtMs, nowMs)
      known.expiresAtMs = Math.max(known.expiresAtMs, nowMs + ttlMs + limits.retainMs)
      known.promisedUntilMs = Math.max(known.promisedUntilMs, nowMs + ttlMs)
      held.push(known)
    }
    if (fresh.length === 0) return { held, refused, full: false, changed: false }
    const isGiven = new Set(given.map(({ address }) => address))
    const added: Kept[] = []
    // Once there was no place for one of this answer there is none for those behind it.
    const isFull: Record<Family, boolean> = { 4: false, 6: false }
    for (const item of fresh) {
      const { address, family, expiresAtMs, promisedUntilMs } = item
      const twice = fresh.length > 1 ? this.#live.get(address) : undefined
      if (twice) {
        twice.expiresAtMs = Math.max(twice.expiresAtMs, expiresAtMs)
        twice.promisedUntilMs = Math.max(twice.promisedUntilMs, promisedUntilMs)
        continue
      }
      isFull[family] ||= !this.#hasPlace(family, asker, isGiven, nowMs, limits)
      if (isFull[family]) continue
      this.#add(item)
      this.#families[family].everAnswered = true
      added.push(item)
    }
    return { held: [...held, ...added], refused, full: isFull[4] || isFull[6], changed: added.length > 0 }
  }

  /** True: something went. */
  expire(nowMs: number): boolean {
    const expired = [...this.#live.values()].filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
    for (const kept of expired) this.#letGo(kept, nowMs)
    return expired.length > 0
  }

  adopt(
    address: Address,
    seenAtMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: AddressLimits,
    expiresAtMs: number = seenAtMs + limits.retainMs,
  ): boolean {
    const family = familyOf(address)
    const range = this.#rangeOf(address, undefined, isHostAddress)
    if (this.#live.has(address) || range === 'refused') return false
    if (this.#rooms[family].size >= limits.maxAddressesPerName) return false
    this.#add({
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
    const nothing = this.#live.size === 0
    const errors = FAMILIES.filter((family) => nothing || this.#isStale(family)).map(
      (family) => this.#families[family].error,
    )
    const refused = [...four.refused, ...six.refused]
    const known = errors.filter((error) => error !== undefined)
    const successes = [four.lastSuccessMs, six.lastSuccessMs].filter((ms) => ms !== undefined)
    return {
      name: this.#name,
      state: this.state,
      addresses: this.liveAddresses(),
      lastSuccessMs: successes.length > 0 ? Math.max(...successes) : undefined,
      lastError: known.length > 0 ? known.join('; ') : undefined,
      refused,
      overCap: four.overCap + six.overCap,
    }
  }

  /** Is there anything that a later process would miss? */
  get worthSaving(): boolean {
    return this.#live.size > 0 || this.#past.size > 0
  }

  snapshot(): SavedName {
    const held = this.liveAddresses()
    const { lastSuccessMs } = this.status()
    return {
      name: this.#name,
      ...(lastSuccessMs === undefined ? {} : { lastSuccessMs }),
      held: held.map(({ address }) => address),
      seen: held.map(({ seenAtMs }) => seenAtMs),
      expires: held.map(({ expiresAtMs }) => expiresAtMs),
      past: [...this.#past],
      pastSeen: this.#past.values().map(({ seenAtMs }) => seenAtMs),
      pastLeft: this.#past.values().map(({ leftAtMs }) => leftAtMs),
    }
  }

  /** Times from the future (the clock was wrong then or is now) are pulled back to `nowMs`. True when an address was taken over. */
  restore(
    saved: SavedName,
    nowMs: number,
    isHostAddress: (address: Address) => boolean,
    limits: AddressLimits,
    parseAddress: (text: string) => Address | undefined,
  ): boolean {
    let restored = false
    for (const [index, text] of saved.past.entries()) {
      const address = parseAddress(text)
      const past = {
        seenAtMs: Math.min(saved.pastSeen[index] ?? 0, nowMs),
        leftAtMs: Math.min(saved.pastLeft[index] ?? 0, nowMs),
      }
      if (address !== undefined && this.#rangeOf(address, undefined, isHostAddress) !== 'refused')
        this.#past.add(address, past)
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

  #isStale(family: Family): boolean {
    return this.#families[family].isStaleBeside(this.#families[family === 4 ? 6 : 4])
  }

  /** What may be held today; `private` only where an entry lets it. */
  #rangeOf(
    address: Address,
    held: LiveAddress | undefined,
    isHostAddress: (address: Address) => boolean,
  ): RangeClass {
    if (isHostAddress(address)) return 'refused'
    const range = held ? (held.private ? 'private' : 'public') : this.#classify(address)
    return range === 'private' && !this.#use.private ? 'refused' : range
  }

  #add(item: Kept): void {
    this.#live.set(item.address, item)
    this.#rooms[item.family].entered(item)
    this.#past.delete(item.address)
  }

  #moveLast(item: Kept): void {
    this.#live.delete(item.address)
    this.#live.set(item.address, item)
  }

  #letGo(kept: Kept, nowMs: number): void {
    this.#drop(kept)
    this.#past.add(kept.address, { seenAtMs: kept.seenAtMs, leftAtMs: nowMs })
  }

  #drop(kept: Kept): void {
    this.#live.delete(kept.address)
    this.#rooms[kept.family].left(kept)
  }

  #removeExpired(
    family: Family,
    answered: ReadonlySet<Address>,
    nowMs: number,
    limits: AddressLimits,
  ): Address[] {
    const removed: Kept[] = []
    for (const held of this.#live.values()) {
      if (held.family !== family || answered.has(held.address)) continue
      // The clock was put back: without this the address would stay until the old time comes again.
      if (held.seenAtMs > nowMs) {
        held.seenAtMs = nowMs
        held.expiresAtMs = Math.min(held.expiresAtMs, nowMs + limits.refreshMaxMs + limits.retainMs)
      } else if (nowMs >= held.expiresAtMs && nowMs > held.seenAtMs) removed.push(held)
    }
    for (const kept of removed) this.#letGo(kept, nowMs)
    return removed.map(({ address }) => address)
  }

  /** Lets the longest unseen go, so far as new ones need their room. What this answer holds stays, and what a container was promised. */
  #makeRoom(
    family: Family,
    isAnswered: ReadonlySet<Address>,
    needed: number,
    nowMs: number,
    limits: AddressLimits,
  ): Address[] {
    const room = this.#rooms[family]
    const excess = needed === 0 ? 0 : room.size + needed - limits.maxAddressesPerName
    const evicted: Address[] = []
    while (evicted.length < excess) {
      const leaving = room.nextToLeave(nowMs, ({ address }) => isAnswered.has(address))
      if (!leaving) break
      this.#letGo(leaving, nowMs)
      evicted.push(leaving.address)
    }
    return evicted
  }

  /** Has this asker a place for one more? Below a pattern containers choose what is asked, so none of them may take the places of all others. */
  #hasPlace(
    family: Family,
    asker: string,
    isGiven: ReadonlySet<Address>,
    nowMs: number,
    limits: AddressLimits,
  ): boolean {
    const room = this.#rooms[family]
    const most = limits.maxAddressesPerName
    const isOwnToLeave = this.isPattern && room.isSpent(asker, most)
    if (!isOwnToLeave && room.size < most) return true
    const leaving = room.nextToLeave(
      nowMs,
      (kept) => isGiven.has(kept.address) || (isOwnToLeave && room.size < most && kept.asker !== asker),
    )
    if (leaving) this.#letGo(leaving, nowMs)
    return leaving !== undefined
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
