/** A clock that NTP adjusts drifts by less between two questions. */
const STEP_MS = 1_000

/** Notices that somebody set the host's clock. */
export class ClockSteps {
  #offsetMs = offsetMs()

  /** True once after the clock was set. */
  get happened(): boolean {
    const now = offsetMs()
    if (Math.abs(now - this.#offsetMs) < STEP_MS) return false
    this.#offsetMs = now
    return true
  }
}

const offsetMs = (): number => Date.now() - performance.now()
