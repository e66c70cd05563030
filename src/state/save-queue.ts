export interface SaveQueueOptions {
  /** Saves the state as it is when it is called. */
  readonly save: () => Promise<void>
  /** From the first request to the save. Requests in between are served by the same save. */
  readonly delayMs: number
  /** A save that failed. It is tried again after half a minute. */
  readonly onError: (error: unknown) => void
  /** A save that went well. */
  readonly onSaved?: () => void
  /** Monotonic milliseconds. */
  readonly now?: () => number
}

/** The next save starts at least this many times the duration of the last one later, so that saving takes 5 % of the time at most. */
const REST_FACTOR = 20
const RETRY_MS = 30_000

/** Turns many requests to save into few saves, one at a time. */
export class SaveQueue {
  readonly #options: SaveQueueOptions
  readonly #now: () => number
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #wanted = false
  #notBeforeMs = 0

  constructor(options: SaveQueueOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  request(): void {
    this.#wanted = true
    if (this.#timer !== undefined || this.#running !== undefined) return
    this.#arm()
  }

  /** Saves at once if a save was requested. Resolves when no request is left, or when the save failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    await this.#running
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#wanted) await this.#start()
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(): void {
    const waitMs = Math.max(this.#options.delayMs, this.#notBeforeMs - this.#now())
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#start()
    }, waitMs)
    this.#timer.unref()
  }

  #start(): Promise<void> {
    this.#running = this.#save().finally(() => {
      this.#running = undefined
      if (this.#wanted && this.#timer === undefined) this.#arm()
    })
    return this.#running
  }

  async #save(): Promise<void> {
    this.#wanted = false
    const startMs = this.#now()
    try {
      await this.#options.save()
      this.#notBeforeMs = startMs + REST_FACTOR * (this.#now() - startMs)
      this.#options.onSaved?.()
    } catch (error) {
      this.#wanted = true
      this.#notBeforeMs = this.#now() + RETRY_MS
      this.#options.onError(error)
    }
  }
}
