/** Waits that double from `firstMs` to `lastMs`, each shortened by up to a quarter at random, so that many hosts do not try at the same moments. */
export class Backoff {
  readonly #firstMs: number
  readonly #lastMs: number
  readonly #random: () => number
  #failures = 0

  constructor(
    options: { readonly firstMs?: number; readonly lastMs?: number; readonly random?: () => number } = {},
  ) {
    this.#firstMs = options.firstMs ?? 200
    this.#lastMs = options.lastMs ?? 10_000
    this.#random = options.random ?? Math.random
  }

  nextMs(): number {
    const fullMs = Math.min(this.#lastMs, this.#firstMs * 2 ** this.#failures)
    // Beyond this nothing doubles any more, and 2 ** n would end at Infinity.
    this.#failures = Math.min(this.#failures + 1, 30)
    return fullMs * (1 - this.#random() / 4)
  }

  reset(): void {
    this.#failures = 0
  }
}
