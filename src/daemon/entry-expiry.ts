import type { TemporaryAllows } from '../state/temporary.ts'

/** After somebody sets the clock forward, an entry expires this late at most. */
const CLOCK_LOOK_MS = 60_000
/** Added to the wait, so that the entry has expired when it is over. */
const AFTER_MS = 50

/** Calls back when an entry with `until` or a temporary entry expires. */
export class EntryExpiry {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly temporary: TemporaryAllows,
    private readonly onEnd: () => void,
  ) {}

  /** @param nextEndMs when the next entry expires, epoch ms; undefined: none does. The clock is read now and then, because somebody may set it. */
  arm(nextEndMs: number | undefined): void {
    this.stop()
    if (nextEndMs === undefined) return
    const leftMs = (): number => Math.min(nextEndMs - Date.now(), this.temporary.nextEndInMs)
    this.#timer = setTimeout(
      () => {
        if (leftMs() <= 0) this.onEnd()
        else this.arm(nextEndMs)
      },
      Math.min(Math.max(0, leftMs()) + AFTER_MS, CLOCK_LOOK_MS),
    )
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
