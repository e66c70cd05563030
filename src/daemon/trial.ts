/** The time within which a config has to be confirmed. */
export class Trial {
  #timer: NodeJS.Timeout | undefined
  /** By the monotonic clock, as the timer's. */
  #endsAtMs: number | undefined
  #isOver = false

  constructor(private readonly onOver: () => void) {}

  /** The time has run out, and the trial was neither ended nor replaced since. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Epoch ms on the host's clock as it is now. Undefined: nothing is on trial. */
  get untilMs(): number | undefined {
    return this.#endsAtMs === undefined
      ? undefined
      : Math.round(Date.now() + this.#endsAtMs - performance.now())
  }

  /** Replaces a trial that is under way. */
  begin(forMs: number): void {
    this.end()
    this.#endsAtMs = performance.now() + forMs
    this.#timer = setTimeout(() => {
      this.#isOver = true
      this.onOver()
    }, forMs)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#endsAtMs = undefined
    this.#isOver = false
  }
}
