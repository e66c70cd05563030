import type { Address, Family } from '../net/types.ts'
import type { AddressLimits } from './model.ts'
import { PastAddresses } from './past-addresses.ts'
import { Room, type PooledAddress } from './room.ts'

/** The live addresses of one name, and those that it had. Ordered, and bounded for each family. */
export class AddressPool {
  readonly past = new PastAddresses()
  /** The longest unseen first. */
  readonly #live = new Map<Address, PooledAddress>()
  readonly #rooms: Readonly<Record<Family, Room>> = { 4: new Room(this.#live, 4), 6: new Room(this.#live, 6) }

  get size(): number {
    return this.#live.size
  }

  sizeOf(family: Family): number {
    return this.#rooms[family].size
  }

  values(): PooledAddress[] {
    return [...this.#live.values()]
  }

  get(address: Address): PooledAddress | undefined {
    return this.#live.get(address)
  }

  hasHad(address: Address): boolean {
    return this.#live.has(address) || this.past.has(address)
  }

  /** Which of these are or were here. The smaller of both collections is walked through. */
  everLiveOf(addresses: ReadonlySet<Address>): Address[] {
    if (addresses.size <= this.#live.size + this.past.size)
      return [...addresses].filter((address) => this.hasHad(address))
    return [...this.#live.keys(), ...this.past].filter((address) => addresses.has(address))
  }

  add(entry: PooledAddress): void {
    this.#live.set(entry.address, entry)
    this.#rooms[entry.family].entered(entry)
    this.past.delete(entry.address)
  }

  /** From now on it is the one that was seen last. */
  moveLast(entry: PooledAddress): void {
    this.#live.delete(entry.address)
    this.#live.set(entry.address, entry)
  }

  /** Takes out private addresses; the history keeps nothing of them. */
  revokePrivate(isPrivate: (address: Address) => boolean): void {
    for (const entry of this.values()) if (entry.private) this.#remove(entry)
    for (const address of this.past) if (isPrivate(address)) this.past.delete(address)
  }

  /** Lets go what was not renewed in time. */
  expire(nowMs: number): readonly PooledAddress[] {
    const expired = this.values().filter(({ expiresAtMs }) => expiresAtMs <= nowMs)
    for (const entry of expired) this.#letGo(entry, nowMs)
    return expired
  }

  /** Lets go what a good answer did not contain and whose time is over. */
  removeUnanswered(
    family: Family,
    isAnswered: (address: Address) => boolean,
    nowMs: number,
    { refreshMaxMs, retainMs }: AddressLimits,
  ): Address[] {
    const removed: PooledAddress[] = []
    for (const entry of this.#live.values()) {
      if (entry.family !== family || isAnswered(entry.address)) continue
      // The clock was put back: without this the address would stay until the old time comes again.
      if (entry.seenAtMs > nowMs) {
        entry.seenAtMs = nowMs
        entry.expiresAtMs = Math.min(entry.expiresAtMs, nowMs + refreshMaxMs + retainMs)
      } else if (nowMs >= entry.expiresAtMs && nowMs > entry.seenAtMs) removed.push(entry)
    }
    for (const entry of removed) this.#letGo(entry, nowMs)
    return removed.map(({ address }) => address)
  }

  /** Makes room for `needed` new addresses: the longest unseen go. Those that the answer contains stay, and those that a container was promised. */
  makeRoom(
    family: Family,
    needed: number,
    isAnswered: (address: Address) => boolean,
    nowMs: number,
    most: number,
  ): Address[] {
    const room = this.#rooms[family]
    const excess = needed === 0 ? 0 : room.size + needed - most
    const evicted: Address[] = []
    while (evicted.length < excess) {
      const leaving = room.nextToLeave(nowMs, ({ address }) => isAnswered(address))
      if (!leaving) break
      this.#letGo(leaving, nowMs)
      evicted.push(leaving.address)
    }
    return evicted
  }

  /**
   * Is there a place for one more address of this asker, or can one be made?
   * @param isShared below a pattern containers choose the names, so no asker may take the places of all others
   */
  takePlace(
    family: Family,
    asker: string,
    isShared: boolean,
    isGiven: (address: Address) => boolean,
    nowMs: number,
    most: number,
  ): boolean {
    const room = this.#rooms[family]
    const hasSpentShare = isShared && room.isSpent(asker, most)
    if (!hasSpentShare && room.size < most) return true
    const mustBeOwn = hasSpentShare && room.size < most
    const leaving = room.nextToLeave(
      nowMs,
      (entry) => isGiven(entry.address) || (mustBeOwn && entry.asker !== asker),
    )
    if (leaving) this.#letGo(leaving, nowMs)
    return leaving !== undefined
  }

  #letGo(entry: PooledAddress, nowMs: number): void {
    this.#remove(entry)
    this.past.add(entry.address, { seenAtMs: entry.seenAtMs, leftAtMs: nowMs })
  }

  #remove(entry: PooledAddress): void {
    this.#live.delete(entry.address)
    this.#rooms[entry.family].left(entry)
  }
}

/** Neither the life of an address nor a promise gets shorter. */
export function extend(entry: PooledAddress, expiresAtMs: number, promisedUntilMs: number): void {
  entry.expiresAtMs = Math.max(entry.expiresAtMs, expiresAtMs)
  entry.promisedUntilMs = Math.max(entry.promisedUntilMs, promisedUntilMs)
}
