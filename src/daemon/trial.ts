/** The time in which somebody has to say that a config may stay. */
export class Trial {
  #timer: NodeJS.Timeout | undefined
  #untilMs: number | undefined

  constructor(private readonly onOver: () => void) {}

  /** Epoch ms, for people: the clock that ends it is one that nobody sets. Undefined: nothing is on trial. */
  get untilMs(): number | undefined {
    return this.#untilMs
  }

  /** One that runs already is replaced. */
  begin(forMs: number): void {
    this.end()
    this.#untilMs = Date.now() + forMs
    this.#timer = setTimeout(this.onOver, forMs)
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#untilMs = undefined
  }
}
