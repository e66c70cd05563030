import type { Admission, GivenAddress } from '../gateway/model.ts'
import { familyOf, type Address, type Hostname } from '../net/types.ts'
import { classify } from '../net/ranges.ts'
import type { Desired } from '../reconcile/desired.ts'
import type { FastPath } from '../targets/ipset/fast-path.ts'
import type { AddressStore } from '../resolve/address-store.ts'

export interface KernelAdmissionOptions {
  readonly addressStore: AddressStore
  readonly isHostAddress: (address: Address) => boolean
  readonly desired: Desired
  readonly fastPath: FastPath
  /** Some name holds other addresses than before: they are worth saving. */
  readonly onChange: () => void
  /** A name has no room for what a container asked for. */
  readonly onFull: (name: Hostname, asker: string) => void
  /** This address was not live for some name before. */
  readonly onIncluded: (address: Address) => void
  /** The kernel did not take an address: a set is gone, or full. */
  readonly onFailure: () => void
}

const NOTHING: ReadonlySet<Address> = new Set()

/** Takes what containers are about to be told into the address store, and has the kernel hold it before they are. */
export class KernelAdmission implements Admission {
  constructor(private readonly options: KernelAdmissionOptions) {}

  admit(
    as: readonly Hostname[],
    addresses: readonly GivenAddress[],
    asker: string,
  ): ReturnType<Admission['admit']> {
    const { addressStore, isHostAddress, desired, fastPath, onChange, onFull, onIncluded, onFailure } =
      this.options
    const nowMs = Date.now()
    // A container that may reach all of the internet needs no entry for an address of it, and gets none of what is not the internet.
    if (as.length === 0) {
      const isRefused = (address: Address): boolean =>
        isHostAddress(address) || classify(address) !== 'public'
      return { refused: refusedOf(addresses, isRefused), done: undefined }
    }
    const places: { set: string; element: string }[] = []
    const accepted = new Set<Address>()
    let isFull = false
    for (const name of as) {
      const { live, full, changed } = addressStore.admit(name, addresses, asker, nowMs, isHostAddress)
      if (changed) onChange()
      if (full) onFull(name, asker)
      isFull ||= full
      for (const one of live) {
        accepted.add(one.address)
        // Addresses that a look-up found meanwhile become members of the sets only with the next pass.
        const isNews = changed || addressStore.isChanged(name)
        const sets = isNews
          ? desired.membership.include(name, one)
          : desired.membership.setsOf(name, familyOf(one.address), one.private)
        if (isNews) onIncluded(one.address)
        for (const set of sets) places.push({ set, element: one.address })
      }
    }
    const refused = refusedOf(addresses, (address) => !accepted.has(address))
    const keptSeconds = Math.floor(desired.config.resolver.maxStaleMs / 1000)
    const done = fastPath.ensure(places, desired.membership, keptSeconds, nowMs)
    done?.catch(() => {
      for (const { set, element } of places) desired.membership.touch(set, element)
      onFailure()
    })
    return { refused, done, isFull: isFull && accepted.size === 0 }
  }
}

/** Mostly empty. */
function refusedOf(
  addresses: readonly GivenAddress[],
  isRefused: (address: Address) => boolean,
): ReadonlySet<Address> {
  let refused: Set<Address> | undefined
  for (const { address } of addresses) if (isRefused(address)) (refused ??= new Set()).add(address)
  return refused ?? NOTHING
}
