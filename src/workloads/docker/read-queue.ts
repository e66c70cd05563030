/** What has to be read from the engine again. */
export interface Readings {
  readonly everything: boolean
  readonly networks: ReadonlySet<string>
  readonly containers: ReadonlySet<string>
}

/** Gathers what has to be read again, each thing once, however often it was asked for since it was read last. */
export class ReadQueue {
  #everything = false
  #networks = new Set<string>()
  #containers = new Set<string>()

  addEverything(): void {
    this.#everything = true
  }

  add(kind: 'networks' | 'containers', id: string): void {
    if (kind === 'networks') this.#networks.add(id)
    else this.#containers.add(id)
  }

  get isEmpty(): boolean {
    return !this.#everything && this.#networks.size === 0 && this.#containers.size === 0
  }

  /** All that was gathered. Whatever is added from now on is for the next call. */
  take(): Readings {
    const taken = { everything: this.#everything, networks: this.#networks, containers: this.#containers }
    this.#everything = false
    this.#networks = new Set()
    this.#containers = new Set()
    return taken
  }
}
