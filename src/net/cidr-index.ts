import { bytesOf } from './address.ts'
import { maskOf } from './cidr.ts'
import type { Address, Cidr } from './types.ts'

/** Many networks, asked for many addresses: one look-up for each length that a prefix among them has, not one for each network. */
export class CidrIndex {
  readonly #byMask = new Map<string, { readonly mask: readonly number[]; readonly networks: Set<string> }>()

  constructor(networks: Iterable<Cidr>) {
    for (const network of networks) {
      const { bytes, mask } = maskOf(network)
      const key = mask.join('.')
      const known = this.#byMask.get(key)
      if (known) known.networks.add(bytes.join('.'))
      else this.#byMask.set(key, { mask, networks: new Set([bytes.join('.')]) })
    }
  }

  has(address: Address): boolean {
    const bytes = bytesOf(address)
    for (const { mask, networks } of this.#byMask.values())
      if (
        mask.length === bytes.length &&
        networks.has(bytes.map((byte, at) => byte & (mask[at] ?? 0)).join('.'))
      )
        return true
    return false
  }
}
