import type { BindingElements } from './elements.ts'
import type { Address } from '../../net/types.ts'

/** The sender of a frame, as the bridge sees it. */
export interface Sender {
  readonly port: string
  readonly mac: string
  readonly address: Address
}

/** `forged`: the addresses belong to another port, or the port to other addresses. `unknown`: no container is known to have the port. */
export type SenderStatus = 'known' | 'forged' | 'unknown'

/** Judges senders by the bindings in force. */
export class Senders {
  readonly #bound = new Set<string>()
  readonly #ports: ReadonlySet<string>
  readonly #macs: ReadonlySet<string>
  readonly #addresses: ReadonlySet<string>

  constructor(elements: BindingElements) {
    const of = (set: string): ReadonlySet<string> => elements.get(set) ?? new Set()
    for (const element of [...of('rights4'), ...of('rights6')]) this.#bound.add(element.split(' : ')[0] ?? '')
    this.#ports = of('ports')
    this.#macs = of('takenMacs')
    this.#addresses = new Set([...of('taken4'), ...of('taken6')])
  }

  isBound(port: string): boolean {
    return this.#ports.has(`"${port}"`)
  }

  statusOf({ port, mac, address }: Sender): SenderStatus {
    if (this.#bound.has(`"${port}" . ${mac} . ${address}`)) return 'known'
    if (this.isBound(port)) return isLinkLocal(address) ? 'known' : 'forged'
    return this.#macs.has(mac) || this.#addresses.has(address) ? 'forged' : 'unknown'
  }
}

/** fe80::/10. The bindings let it pass without rights. */
const isLinkLocal = (address: Address): boolean => /^fe[89ab]/.test(address)
