/** The time in which somebody has to say that a config may stay. */
export class Trial {
  #timer: NodeJS.Timeout | undefined
  /** On a clock that nobody sets, as the timer's is. */
  #endsAtMs: number | undefined
  #isOver = false

  constructor(private readonly onOver: () => void) {}

  /** Its time has run out, and nobody has ended or replaced it since. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Epoch ms on the host's clock as it is now. Undefined: nothing is on trial. */
  get untilMs(): number | undefined {
    return this.#endsAtMs === undefined
      ? undefined
      : Math.round(Date.now() + this.#endsAtMs - performance.now())
  }

  /** One that runs already is replaced. */
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
