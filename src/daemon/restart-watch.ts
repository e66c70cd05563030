/** So often within a minute, and what ends is no accident. */
const MOST_ENDS = 3
const WINDOW_MS = 60_000

/** Something that runs all the time and is begun again when it ends: told of when it does not stay. */
export class RestartWatch {
  #endsMs: readonly number[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param onState why it does not stay; undefined: it has, for a minute */
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
