/** As much of a TCP connection as it takes to give it a place. */
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
 * The connections that stand, and who gives way to a new one. A container can connect in the name of every free address of its subnet, so a limit for each
 * source holds nobody back: where all places are taken, the network that has most of them gives one up, and there whoever was idle the longest. So a network
 * takes places of nobody but itself.
 */
export class Connections<C extends Connection> {
  readonly #places = new Map<C, ConnectionState>()
  readonly #bySource = new Map<string, number>()
  /** The longest quiet first. */
  readonly #byNetwork = new Map<string, Set<C>>()

  constructor(private readonly limits: ConnectionLimits) {}

  get size(): number {
    return this.#places.size
  }

  all(): readonly C[] {
    return [...this.#places.keys()]
  }

  /**
   * False: its source has its share.
   * @param network where it came in
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

  /** It asked, or was answered: now it is the last one to give way. */
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

  /** Where nobody is idle, whoever asked first. */
  #idleOf(connections: ReadonlySet<C>): C | undefined {
    let first: C | undefined
    for (const connection of connections) {
      first ??= connection
      if (this.#places.get(connection)?.questions === 0) return connection
    }
    return first
  }
}
