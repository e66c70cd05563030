/** The other end of a message. */
export interface Peer {
  readonly address: string
  readonly port: number
  /** As the kernel gave it; undefined: Node did, in words. */
  readonly encoded: Buffer | undefined
}

export interface DatagramEvents {
  /** Must not throw. */
  readonly onMessage: (message: Buffer, from: Peer) => void
  /** The socket is of no use any more, or its peer is not there. */
  readonly onError: (error: Error) => void
}

/** A UDP socket. */
export interface Datagrams {
  /** Its own address. */
  readonly place: { readonly address: string; readonly port: number }
  /**
   * Leaves by the end of this turn of the loop. That nobody can be reached there is an error of a connected socket, and of no interest to any other.
   * @param to undefined: to whom it is connected
   * @param joined it may pass through the kernel as one with others of its length to the same socket, and be itself again where that socket is. Not for somebody whose
   * sockets are not the kernel's: whoever reads packets from an interface would take many for one.
   */
  send(message: Buffer, to?: Peer, joined?: boolean): void
  close(): void
}

export interface BindOptions extends DatagramEvents {
  readonly type: 'udp4' | 'udp6'
  /** `fd`: it is open already. */
  readonly at: { readonly fd: number } | { readonly address: string; readonly port: number }
  /** What waits in the kernel while something else is computed. */
  readonly receiveBytes: number
}

export interface ConnectOptions extends DatagramEvents {
  readonly host: string
  readonly port: number
  readonly receiveBytes: number
}
