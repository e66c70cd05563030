/** A counting semaphore: as many at a time, the others first come, first served. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []
  #head = 0

  constructor(count: number) {
    this.#free = count
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  give(): void {
    const next = this.#waiting[this.#head]
    if (!next) {
      this.#free++
      return
    }
    this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head)
      this.#head = 0
    }
    next()
  }
}
