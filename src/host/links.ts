import type { Address } from '../net/types.ts'
import type { Run } from '../system/exec.ts'
import { hostAddresses, stopReservedLearning, type HostInterface } from '../system/host.ts'
import { InterfaceTable } from '../system/interface-table.ts'
import type { AddressChange, LinkChange } from '../workloads/link-watcher.ts'
import { SettlingBridges } from '../workloads/settling.ts'
import { isContainersEnd } from '../workloads/container-end.ts'

/** A new bridge that the engine does not list is taken for somebody else's after this time. Until then it is closed. */
const SETTLE_MS = 1_000

/** The interfaces of this host and its own addresses, as they were read last and changed since. */
export class HostLinks {
  readonly #table = new InterfaceTable()
  readonly #settling = new SettlingBridges(SETTLE_MS)
  #addresses: { readonly of: readonly HostInterface[]; readonly all: ReadonlySet<Address> } | undefined

  constructor(private readonly run: Run) {}

  get interfaces(): readonly HostInterface[] {
    return this.#table.all
  }

  /** The addresses of all interfaces. */
  get addresses(): ReadonlySet<Address> {
    if (this.#addresses?.of !== this.interfaces)
      this.#addresses = { of: this.interfaces, all: hostAddresses(this.interfaces) }
    return this.#addresses.all
  }

  /** New bridges that the engine may not have listed yet. */
  get settling(): ReadonlySet<string> {
    return this.#settling.names()
  }

  /** Rejects when the kernel does not answer: the interfaces are then as they were. */
  async read(): Promise<void> {
    await this.#table.read(this.run)
  }

  /** Never rejects for a bridge that is gone meanwhile. */
  async stopLearning(bridges: readonly string[]): Promise<void> {
    await stopReservedLearning(this.run, bridges)
    for (const name of bridges) this.#table.stoppedLearning(name)
  }

  /** A bridge changed or came up. A new one stays closed until the engine had time to list its network. */
  bridgeSeen(name: string, nowMs: number): void {
    if (this.interfaces.some((one) => one.name === name)) return
    this.#settling.appeared(name, nowMs)
  }

  bridgeVanished(name: string): void {
    this.#settling.vanished(name)
  }

  /** The engine listed everything, in a listing that began then. */
  listed(beganAtMs: number): void {
    this.#settling.listed(beganAtMs)
  }

  /** When the engine has to be asked whether a new bridge is its own, epoch ms. */
  nextListingAtMs(): number | undefined {
    return this.#settling.nextListingAtMs()
  }

  /** The host's end of a container's pair came, changed or went. */
  portChanged(change: LinkChange): void {
    if (change.deleted) this.#table.delete(change.index)
    else this.#table.put(change)
  }

  /** Is it known already? The kernel also reports states that do not matter here. */
  knows({ index, name, kind, master, deleted }: LinkChange): boolean {
    const known = this.#table.get(index)
    return !deleted && known?.name === name && known.kind === kind && known.master === master
  }

  /** Takes over an address of the host's end of a container's pair. Returns false for a change of another interface's addresses: all interfaces have to be read again then. */
  addressChanged({ index, address, deleted }: AddressChange): boolean {
    const link = this.#table.get(index)
    if (link && isContainersEnd(link)) {
      this.#table.setAddress(index, address, !deleted)
      return true
    }
    return !deleted && link?.addresses.includes(address) === true
  }
}
