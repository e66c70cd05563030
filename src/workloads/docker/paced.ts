/**
 * `work` at once, then at most once in each pause. What is requested during a pause is done at its end, so that no request is lost and a flood
 * of them costs no more than one piece of work a pause.
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
