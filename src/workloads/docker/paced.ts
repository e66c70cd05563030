/**
 * Does `work` at once, then at most once in each pause. A request during a pause is done at the pause's end: no request is lost, and a flood of them
 * causes one piece of work in each pause.
 */
export class Paced {
  #timer: NodeJS.Timeout | undefined
  #isDue = false

  constructor(
    private readonly work: () => void,
    private readonly pauseMs: number,
  ) {}

  request(): void {
    if (this.#timer) {
      this.#isDue = true
      return
    }
    this.#isDue = false
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#isDue) this.request()
    }, this.pauseMs)
    this.#timer.unref()
    this.work()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
