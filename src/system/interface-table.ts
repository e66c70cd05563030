import type { Address } from '../net/types.ts'
import type { Run } from './exec.ts'
import { interfacesOf, readLinks, type AddressedLink, type HostInterface, type Link } from './host.ts'

/**
 * The interfaces of the host. Listing thousands of them takes a second, and a container that starts changes only a few. So the changes that the kernel
 * reports are written into the last listing.
 */
export class InterfaceTable {
  #links = new Map<number, AddressedLink>()
  #all: readonly HostInterface[] | undefined
  /** Changes that were reported while a listing was made. The listing may be older, so they are applied to it again. */
  #meanwhile: (() => void)[] | undefined

  get all(): readonly HostInterface[] {
    this.#all ??= interfacesOf(this.#links.values())
    return this.#all
  }

  get(index: number): AddressedLink | undefined {
    return this.#links.get(index)
  }

  /** Lists them all. Rejects when the kernel does not answer: the table is then as it was. */
  async read(run: Run): Promise<void> {
    const meanwhile: (() => void)[] = []
    this.#meanwhile = meanwhile
    try {
      const links = await readLinks(run)
      this.#links = new Map(links.map((link) => [link.index, link]))
      this.#all = undefined
    } finally {
      this.#meanwhile = undefined
    }
    for (const again of meanwhile) again()
  }

  put(link: Link): void {
    this.#meanwhile?.push(() => this.put(link))
    this.#links.set(link.index, { ...link, addresses: this.#links.get(link.index)?.addresses ?? [] })
    this.#all = undefined
  }

  delete(index: number): void {
    this.#meanwhile?.push(() => this.delete(index))
    this.#links.delete(index)
    this.#all = undefined
  }

  /** To be called when the bridge was set to learn nothing from frames that it does not forward. */
  stoppedLearning(name: string): void {
    for (const link of this.#links.values())
      if (link.name === name && link.learnsReserved)
        this.#links.set(link.index, { ...link, learnsReserved: false })
    this.#all = undefined
  }

  setAddress(index: number, address: Address, isThere: boolean): void {
    this.#meanwhile?.push(() => this.setAddress(index, address, isThere))
    const link = this.#links.get(index)
    if (!link) return
    const others = link.addresses.filter((one) => one !== address)
    this.#links.set(index, { ...link, addresses: isThere ? [...others, address] : others })
    this.#all = undefined
  }
}
