import { splitForIpset } from '../net/cidr.ts'
import { CidrIndex } from '../net/cidr-index.ts'
import { FAMILIES, familyOf, type Address, type Cidr, type Family, type Hostname } from '../net/types.ts'
import type { Policies, Policy } from '../policy/model.ts'
import type { LiveAddress } from '../resolve/model.ts'
import { ElementEnds } from './element-ends.ts'
import { feedsOf, type Feed } from './feeds.ts'
import { admittedSet, allowSet, internetSet, trialSet } from './names.ts'
import { commentOf, own, type Owned } from './owners.ts'

/** Elements of a set with what an operator reads beside them. */
export type CommentedElements = ReadonlyMap<string, string>

/** Which elements changed since they were last asked for; `all`: anything may have. */
export interface Dirty {
  readonly all: boolean
  readonly elements: ReadonlyMap<string, ReadonlySet<string>>
}

/**
 * The elements of every set: addresses of names, static networks, and elements that come from the host facts.
 * An element is wanted as long as it has an owner: two names may share an address, or a name may lie inside an allowed network.
 * It is updated name by name, since a pass after one changed answer must not look at 100,000 others.
 */
export class Membership {
  #feeds = new Map<Hostname, Feed[]>()
  #owners = new Map<string, Owned>()
  #ofName = new Map<Hostname, Map<string, Set<string>>>()
  /** Networks and addresses of the config by what is written beside them, which may be the text of a name. */
  #fixed = new Map<string, Map<string, string>>()
  #ends = new ElementEnds()
  #dirty = new Map<string, Set<string>>()
  #all = true
  /** Only the policy adds networks: names add single addresses. */
  #networks = new Map<string, CidrIndex>()

  /** Starts over: after a change of policy or of the networks. */
  rebuild(
    policies: Policies,
    statics: ReadonlyMap<string, CommentedElements>,
    liveAddresses: (name: Hostname) => readonly LiveAddress[],
  ): void {
    this.#feeds = feedsOf(policies)
    this.#owners = new Map()
    this.#ofName = new Map()
    this.#fixed = new Map()
    this.#ends = new ElementEnds()
    this.#networks = new Map()
    this.#dirty = new Map()
    this.#all = true
    this.setStatics(statics)
    for (const policy of policies.policies) {
      this.#fixGroups(policy)
      for (const ports of policy.internet) {
        const endMs = policy.internetEnds?.get(ports.text)
        if (endMs !== undefined)
          this.#fixEverything((family) => internetSet(policy.id, ports, family), 'internet', endMs)
      }
    }
    if (policies.admittedUntilMs !== undefined)
      this.#fixEverything(admittedSet, 'no right has ended', policies.admittedUntilMs + GRACE_MS)
    if (policies.trialEndMs !== undefined) this.#fixEverything(trialSet, 'on trial', policies.trialEndMs)
    for (const name of this.#feeds.keys()) this.refresh(name, liveAddresses(name))
  }

  /** Takes over what the sets hold that no policy fills: after a change of the networks. */
  setStatics(statics: ReadonlyMap<string, CommentedElements>): void {
    for (const [set, elements] of statics) {
      const owners = this.#set(set)
      for (const element of owners.keys()) {
        if (elements.has(element)) continue
        owners.delete(element)
        this.touch(set, element)
      }
      for (const [element, words] of elements) {
        if (owners.get(element) === words) continue
        owners.set(element, words)
        this.touch(set, element)
      }
    }
  }

  /** Takes over the addresses that a name has now. */
  refresh(name: Hostname, live: readonly LiveAddress[]): void {
    const before = this.#ofName.get(name)
    const after = new Map<string, Set<string>>()
    for (const feed of this.#feeds.get(name) ?? []) {
      for (const { address, family, private: isPrivate } of live) {
        if (isPrivate && !feed.private) continue
        const set = feed.sets[family]
        const elements = after.get(set)
        if (elements) elements.add(address)
        else after.set(set, new Set([address]))
      }
    }
    for (const [set, elements] of before ?? []) {
      for (const element of elements) if (!after.get(set)?.has(element)) this.#disown(set, element, name)
    }
    for (const [set, elements] of after) {
      for (const element of elements) if (!before?.get(set)?.has(element)) this.#own(set, element, name)
    }
    if (after.size > 0) this.#ofName.set(name, after)
    else this.#ofName.delete(name)
  }

  /**
   * Takes over one more address of a name, and returns the sets that have to hold it. The caller writes it into them. When that fails the caller has to `touch` it,
   * or no pass would look at it.
   */
  include(name: Hostname, { address, family, private: isPrivate }: LiveAddress): string[] {
    const sets = this.setsOf(name, family, isPrivate)
    let ofName = this.#ofName.get(name)
    if (!ofName && sets.length > 0) this.#ofName.set(name, (ofName = new Map()))
    for (const set of sets) {
      const elements = ofName?.get(set) ?? new Set()
      const before = elements.size
      elements.add(address)
      if (elements.size === before) continue
      if (before === 0) ofName?.set(set, elements)
      // The element has a new comment now.
      if (!own(this.#set(set), address, name)) this.touch(set, address)
    }
    return sets
  }

  /** Where addresses of a name go. */
  setsOf(name: Hostname, family: Family, isPrivate: boolean): string[] {
    const sets: string[] = []
    for (const feed of this.#feeds.get(name) ?? [])
      if (feed.private || !isPrivate) sets.push(feed.sets[family])
    return sets
  }

  /** Does the set hold the address, by itself or within a network? */
  covers(set: string, address: Address): boolean {
    return this.has(set, address) || this.#indexOf(set).has(address)
  }

  #indexOf(set: string): CidrIndex {
    let networks = this.#networks.get(set)
    if (!networks) {
      networks = new CidrIndex([...this.elementsOf(set)].filter((element) => element.includes('/')) as Cidr[])
      this.#networks.set(set, networks)
    }
    return networks
  }

  has(set: string, element: string): boolean {
    return this.#owners.get(set)?.has(element) ?? false
  }

  /** The names and networks behind an element, empty when the set must not hold it. */
  ownersOf(set: string, element: string): ReadonlySet<string> {
    const owners = this.#owners.get(set)?.get(element) ?? NOBODY
    return typeof owners === 'string' ? new Set([owners]) : owners
  }

  /** Undefined: the set must not hold the element. */
  commentOf(set: string, element: string): string | undefined {
    const owners = this.#owners.get(set)?.get(element)
    return typeof owners === 'string' ? owners : owners && commentOf(owners)
  }

  /** Epoch ms from which none of its owners has a right to the element any more; Infinity: one of them keeps it. */
  endOf(set: string, element: string): number {
    if (!this.#ends.has(set)) return Infinity
    let endMs = this.#ends.ofFixed(set, element)
    for (const owner of this.ownersOf(set, element)) {
      // What is written beside a network may be the text of a name.
      if (
        !this.#ofName
          .get(owner as Hostname)
          ?.get(set)
          ?.has(element)
      )
        continue
      endMs = Math.max(endMs, this.endOfName(set, owner as Hostname, element as Address))
    }
    return endMs
  }

  /** Epoch ms from which the name gives no right to the address in this set; Infinity: it lasts. */
  endOfName(set: string, name: Hostname, address: Address): number {
    return this.#ends.ofName(set, name, address)
  }

  elementsOf(set: string): Iterable<string> {
    return this.#owners.get(set)?.keys() ?? []
  }

  sizeOf(set: string): number {
    return this.#owners.get(set)?.size ?? 0
  }

  /** After a failed write, or a plan that was not written: the next pass compares everything. */
  touchAll(): void {
    this.#all = true
  }

  /** The next pass compares it with what the kernel holds. */
  touch(set: string, element: string): void {
    if (this.#all) return
    const touched = this.#dirty.get(set)
    if (touched) touched.add(element)
    else this.#dirty.set(set, new Set([element]))
  }

  takeDirty(): Dirty {
    const dirty = { all: this.#all, elements: this.#dirty }
    this.#all = false
    this.#dirty = new Map()
    return dirty
  }

  #set(name: string): Owned {
    let owners = this.#owners.get(name)
    if (!owners) this.#owners.set(name, (owners = new Map()))
    return owners
  }

  #fixGroups({ id, groups }: Policy): void {
    for (const { ports, cidrs, ends } of groups) {
      for (const family of FAMILIES) {
        const set = allowSet(id, ports, family)
        this.#set(set)
        if (ends) this.#ends.put(set, ends)
      }
      for (const [cidr, words] of cidrs) {
        const set = allowSet(id, ports, familyOf(cidr))
        const endMs = ends?.cidrs.get(cidr) ?? Infinity
        for (const part of splitForIpset(cidr)) this.#fix(set, part, words, endMs)
      }
    }
  }

  /** A set that holds every address until its right ends: a rule that names it ends with it. */
  #fixEverything(setOf: (family: Family) => string, words: string, endMs: number): void {
    for (const family of FAMILIES) {
      const set = setOf(family)
      this.#ends.put(set, NO_NAMES)
      for (const half of splitForIpset(EVERYTHING[family])) this.#fix(set, half, words, endMs)
    }
  }

  #fix(set: string, element: string, words: string, endMs: number): void {
    this.#ends.fix(set, element, endMs)
    own(this.#set(set), element, words)
    const fixed = this.#fixed.get(set)
    if (fixed) fixed.set(element, words)
    else this.#fixed.set(set, new Map([[element, words]]))
  }

  #own(set: string, element: string, owner: string): void {
    own(this.#set(set), element, owner)
    this.touch(set, element)
  }

  #disown(set: string, element: string, owner: string): void {
    if (this.#fixed.get(set)?.get(element) === owner) return
    const owners = this.#set(set)
    const left = owners.get(element)
    if (left === owner) owners.delete(element)
    else if (typeof left === 'object') {
      left.delete(owner)
      if (left.size === 0) owners.delete(element)
    }
    this.touch(set, element)
  }
}

const NOBODY: ReadonlySet<string> = new Set()
/** Time for the daemon to judge live connections first: it knows those on expired addresses, which the sets no longer hold. */
const GRACE_MS = 1_000
const NO_NAMES = { names: new Map() }
const EVERYTHING = { 4: '0.0.0.0/0' as Cidr, 6: '::/0' as Cidr } as const
