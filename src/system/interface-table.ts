import type { Address } from '../net/types.ts'
import type { Run } from './exec.ts'
import { interfacesOf, readLinks, type AddressedLink, type HostInterface, type Link } from './host.ts'

/**
 * The interfaces of the host. To list them takes a second where there are thousands, and a container that starts is a change of a few, so what
 * the kernel tells of those is written into the last listing.
 */
export class InterfaceTable {
  #links = new Map<number, AddressedLink>()
  #all: readonly HostInterface[] | undefined
  /** What was told while a listing was made: it may be older than that. */
  #told: (() => void)[] | undefined

  get all(): readonly HostInterface[] {
    this.#all ??= interfacesOf(this.#links.values())
    return this.#all
  }

  get(index: number): AddressedLink | undefined {
    return this.#links.get(index)
  }

  /** Lists them all. Rejects when the kernel does not answer: the table is then as it was. */
  async read(run: Run): Promise<void> {
    const told: (() => void)[] = []
    this.#told = told
    try {
      const links = await readLinks(run)
      this.#links = new Map(links.map((link) => [link.index, link]))
      this.#all = undefined
    } finally {
      this.#told = undefined
    }
    for (const again of told) again()
  }

  put(link: Link): void {
    this.#told?.push(() => this.put(link))
    this.#links.set(link.index, { ...link, addresses: this.#links.get(link.index)?.addresses ?? [] })
    this.#all = undefined
  }

  delete(index: number): void {
    this.#told?.push(() => this.delete(index))
    this.#links.delete(index)
    this.#all = undefined
  }

  /** The bridge was told to learn nothing from frames that it does not forward. */
  stoppedLearning(name: string): void {
    for (const link of this.#links.values())
      if (link.name === name && link.learnsReserved)
        this.#links.set(link.index, { ...link, learnsReserved: false })
    this.#all = undefined
  }

  setAddress(index: number, address: Address, isThere: boolean): void {
    this.#told?.push(() => this.setAddress(index, address, isThere))
    const link = this.#links.get(index)
    if (!link) return
    const others = link.addresses.filter((one) => one !== address)
    this.#links.set(index, { ...link, addresses: isThere ? [...others, address] : others })
    this.#all = undefined
  }
}
