/**
 * Bridges too young to be called somebody else's. The kernel shows a Docker network's bridge before the engine lists the network (50-80 ms, longer on
 * a busy host), and whoever trusted the list in between would open the bridge. It has settled once a listing was begun a while after it appeared;
 * while the engine is away, none settles.
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

  /** The engine listed everything; `beganAtMs` is what `onInventory` says. */
  listed(beganAtMs: number): void {
    for (const [name, atMs] of this.#appearedAtMs) {
      if (atMs + this.#settleMs <= beganAtMs) this.#appearedAtMs.delete(name)
    }
  }

  /** For `decideInterfaces`. */
  names(): ReadonlySet<string> {
    return new Set(this.#appearedAtMs.keys())
  }

  /** The moment to ask for a listing (epoch milliseconds, past when it is overdue); undefined when no bridge waits for one. */
  nextListingAtMs(): number | undefined {
    const appearances = [...this.#appearedAtMs.values()]
    return appearances.length === 0 ? undefined : Math.min(...appearances) + this.#settleMs
  }
}
