/** As much of a TCP connection as is needed here. */
export interface Connection {
  destroy(): unknown
}

interface ConnectionState {
  readonly source: string
  readonly network: string
  /** Questions that wait for their answers. */
  questions: number
}

export interface ConnectionLimits {
  readonly most: number
  readonly perSource: number
}

/**
 * The open connections, in bounded number. A container can connect from every free address of its subnet, so a limit for each source alone would not stop it. Where
 * the total is reached, the network with the most connections loses the one that was idle the longest. So a network takes places only from itself.
 */
export class Connections<C extends Connection> {
  readonly #places = new Map<C, ConnectionState>()
  readonly #bySource = new Map<string, number>()
  /** The longest idle first. */
  readonly #byNetwork = new Map<string, Set<C>>()

  constructor(private readonly limits: ConnectionLimits) {}

  get size(): number {
    return this.#places.size
  }

  all(): readonly C[] {
    return [...this.#places.keys()]
  }

  /**
   * False: its source has as many connections as it may have.
   * @param network the local address at which it came in
   */
  add(connection: C, source: string, network: string): boolean {
    const ofSource = this.#bySource.get(source) ?? 0
    if (ofSource >= this.limits.perSource) return false
    if (this.#places.size >= this.limits.most) this.#giveWay()
    this.#bySource.set(source, ofSource + 1)
    this.#places.set(connection, { source, network, questions: 0 })
    const ofNetwork = this.#byNetwork.get(network)
    if (ofNetwork) ofNetwork.add(connection)
    else this.#byNetwork.set(network, new Set([connection]))
    return true
  }

  /** A question came or was answered: the connection is now the last one to be closed. */
  countQuestions(connection: C, questions: 1 | -1): void {
    const place = this.#places.get(connection)
    if (!place) return
    place.questions += questions
    const ofNetwork = this.#byNetwork.get(place.network)
    ofNetwork?.delete(connection)
    ofNetwork?.add(connection)
  }

  delete(connection: C): void {
    const place = this.#places.get(connection)
    if (!place) return
    this.#places.delete(connection)
    const left = (this.#bySource.get(place.source) ?? 0) - 1
    if (left > 0) this.#bySource.set(place.source, left)
    else this.#bySource.delete(place.source)
    const ofNetwork = this.#byNetwork.get(place.network)
    ofNetwork?.delete(connection)
    if (ofNetwork?.size === 0) this.#byNetwork.delete(place.network)
  }

  #giveWay(): void {
    let greediest: ReadonlySet<C> = new Set()
    for (const ofNetwork of this.#byNetwork.values())
      if (ofNetwork.size > greediest.size) greediest = ofNetwork
    const leaving = this.#idleOf(greediest)
    if (!leaving) return
    this.delete(leaving)
    leaving.destroy()
  }

  /** Where none is idle, the one that asked first. */
  #idleOf(connections: ReadonlySet<C>): C | undefined {
    let first: C | undefined
    for (const connection of connections) {
      first ??= connection
      if (this.#places.get(connection)?.questions === 0) return connection
    }
    return first
  }
}
