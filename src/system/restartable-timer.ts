/** One timer at a time: setting it again replaces what it was set to. */
export class RestartableTimer {
  #timer: NodeJS.Timeout | undefined

  set(delayMs: number, work: () => void): void {
    this.clear()
    this.#timer = setTimeout(work, delayMs)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}
