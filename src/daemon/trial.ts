/** The time in which somebody has to say that a config may stay. */
export class Trial {
  #timer: NodeJS.Timeout | undefined
  #untilMs: number | undefined

  #isOver = false

  constructor(private readonly onOver: () => void) {}

  /** Its time has run out, and nobody has ended or replaced it since. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Epoch ms, for people: the clock that ends it is one that nobody sets. Undefined: nothing is on trial. */
  get untilMs(): number | undefined {
    return this.#untilMs
  }

  /** One that runs already is replaced. */
  begin(forMs: number): void {
    this.end()
    this.#untilMs = Date.now() + forMs
    this.#timer = setTimeout(() => {
      this.#isOver = true
      this.onOver()
    }, forMs)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#untilMs = undefined
    this.#isOver = false
  }
}
