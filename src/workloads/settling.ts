/**
 * Bridges that are too young to be opened as somebody else's. The kernel shows the bridge of a Docker network before the engine lists the network
 * (50-80 ms, longer on a busy host), and the list in between would have the bridge opened. A bridge has settled when a listing began a while after it
 * appeared. While the engine is away, no bridge settles.
 */
export class SettlingBridges {
  readonly #appearedAtMs = new Map<string, number>()
  readonly #settleMs: number

  constructor(settleMs = 10_000) {
    this.#settleMs = settleMs
  }

  /** A bridge was seen to come into being. Bridges found at start need no call: they stood before the first listing. */
  appeared(name: string, nowMs: number): void {
    if (!this.#appearedAtMs.has(name)) this.#appearedAtMs.set(name, nowMs)
  }

  vanished(name: string): void {
    this.#appearedAtMs.delete(name)
  }

  /** To be called when the engine has listed everything, in a listing that began then. */
  listed(beganAtMs: number): void {
    for (const [name, atMs] of this.#appearedAtMs) {
      if (atMs + this.#settleMs <= beganAtMs) this.#appearedAtMs.delete(name)
    }
  }

  /** The bridges that have not settled. */
  names(): ReadonlySet<string> {
    return new Set(this.#appearedAtMs.keys())
  }

  /** The moment to ask for a listing (epoch milliseconds, past when it is overdue); undefined when no bridge waits for one. */
  nextListingAtMs(): number | undefined {
    const appearances = [...this.#appearedAtMs.values()]
    return appearances.length === 0 ? undefined : Math.min(...appearances) + this.#settleMs
  }
}
