/**
 * Bridges too young to be called somebody else's. The kernel shows a Docker network's bridge before the engine lists the network (some 50-80 ms,
 * longer on a busy host), and whoever trusted that list in between would open the bridge.
 */
export class SettlingBridges {
  readonly #appearedAtMs = new Map<string, number>()
  readonly #settleMs: number

  constructor(settleMs = 10_000) {
    this.#settleMs = settleMs
  }

  /** A bridge was seen to come into being. Bridges found at start need no call: they stood before we looked. */
  appeared(name: string, nowMs: number): void {
    if (!this.#appearedAtMs.has(name)) this.#appearedAtMs.set(name, nowMs)
  }

  vanished(name: string): void {
    this.#appearedAtMs.delete(name)
  }

  /** For `decideInterfaces`. */
  names(nowMs: number): ReadonlySet<string> {
    return new Set(
      [...this.#appearedAtMs].filter(([, atMs]) => nowMs - atMs < this.#settleMs).map(([name]) => name),
    )
  }

  /** When the next bridge will have settled, epoch milliseconds: the moment to decide again. */
  nextSettledAtMs(nowMs: number): number | undefined {
    const pending = [...this.#appearedAtMs.values()]
      .map((atMs) => atMs + this.#settleMs)
      .filter((atMs) => atMs > nowMs)
    return pending.length === 0 ? undefined : Math.min(...pending)
  }
}
