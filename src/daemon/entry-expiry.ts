import type { TemporaryAllows } from '../state/temporary.ts'

/** An entry that ends by a clock that was set forward ends so much late at most. */
const CLOCK_LOOK_MS = 60_000
/** Past the moment, so that the look finds it past. */
const AFTER_MS = 50

/** Tells of the moment at which an `until` or a temporary entry ends without anybody's doing. */
export class EntryExpiry {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly temporary: TemporaryAllows,
    private readonly onEnd: () => void,
  ) {}

  /** `nextEndMs`: when the next one ends, epoch ms; undefined: none does. Looks at the clock now and then, because somebody may set it. */
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
