/** This many ends within a minute are a problem. */
const MOST_ENDS = 3
const WINDOW_MS = 60_000

/** Watches a process that is started again whenever it ends, and reports when it ends too often. */
export class RestartWatch {
  #endsMs: readonly number[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param onState why it ends again and again; undefined: it has run for a minute */
  constructor(private readonly onState: (why: string | undefined) => void) {}

  ended(why: string, nowMs: number): void {
    this.#endsMs = [...this.#endsMs, nowMs].filter((endMs) => nowMs - endMs < WINDOW_MS).slice(-MOST_ENDS)
    if (this.#endsMs.length < MOST_ENDS) return
    this.onState(why)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.onState(undefined), WINDOW_MS).unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
