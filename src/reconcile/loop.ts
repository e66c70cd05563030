import { setTimeout as sleep } from 'node:timers/promises'

/** Why a pass is asked for. */
export type Trigger =
  'start' | 'answer' | 'docker' | 'link' | 'drift' | 'reload' | 'timer' | 'until' | 'retry'

/** The kernel, or what stands around it, is no longer what a pass failed on. */
const NEWS: ReadonlySet<Trigger> = new Set(['docker', 'link', 'drift'])

interface Backoff {
  readonly firstMs: number
  /** Each wait is twice the one before, up to this. */
  readonly mostMs: number
  /** So long after a failure news are reason enough to try again. */
  readonly newsMs: number
}

/** Runs passes one at a time. Triggers that come during a pass are gathered into the next; a failed pass is tried again, ever later. */
export class Loop {
  readonly #pass: (triggers: ReadonlySet<Trigger>) => Promise<void>
  readonly #backoff: Backoff
  #wanted = new Set<Trigger>()
  #waiters: (() => void)[] = []
  #running: Promise<void> | undefined
  #failures = 0
  #held = false
  /** Ends the wait after a failure. */
  #patience = new AbortController()
  /** Something changed since the failure. */
  #news = new AbortController()
  readonly #stopped = new AbortController()

  /** `pass` rejects when the kernel is not as desired. */
  constructor(
    pass: (triggers: ReadonlySet<Trigger>) => Promise<void>,
    backoff = { firstMs: 200, mostMs: 15_000, newsMs: 1_000 },
  ) {
    this.#pass = pass
    this.#backoff = backoff
  }

  /** From now on triggers are gathered and no pass begins, until released. */
  hold(): void {
    this.#held = true
  }

  release(): void {
    this.#held = false
    if (this.#wanted.size > 0) this.request('retry')
  }

  /** Returns at once. */
  request(trigger: Trigger): void {
    if (this.#stopped.signal.aborted) return
    this.#wanted.add(trigger)
    // A person waits for a reload, and it may well bring what was missing.
    if (trigger === 'reload') this.#patience.abort()
    if (NEWS.has(trigger)) this.#news.abort()
    if (this.#held) return
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined
      if (this.#wanted.size > 0) this.request('retry')
    })
  }

  /** Resolves when a pass that began after this call has ended, well or not. */
  async requestAndWait(trigger: Trigger): Promise<void> {
    if (this.#stopped.signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#waiters.push(resolve)
      this.request(trigger)
    })
  }

  /** Runs something that writes to the kernel between two passes. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    while (this.#running) await this.#running
    let result: T | undefined
    // Begun when the place is taken: what it asks for at once must not start a pass beside it.
    const working = Promise.resolve()
      .then(work)
      .then((value) => void (result = value))
    this.#running = working
      .catch(() => undefined)
      .finally(() => {
        this.#running = undefined
        if (this.#wanted.size > 0) this.request('retry')
      })
    await working
    return result as T
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#wanted.clear()
    await this.#running
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  async #drain(): Promise<void> {
    // One turn of the event loop gathers what came together.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#wanted.size > 0 && !this.#stopped.signal.aborted) {
      const triggers = this.#wanted
      const waiters = this.#waiters.splice(0)
      this.#wanted = new Set()
      try {
        await this.#pass(triggers)
        this.#failures = 0
      } catch {
        // The pass has told why. Its triggers stand until one succeeds.
        this.#failures++
        for (const trigger of triggers) this.#wanted.add(trigger)
        this.#wanted.add('retry')
        for (const waiter of waiters) waiter()
        await this.#wait()
        continue
      }
      for (const waiter of waiters) waiter()
    }
  }

  async #wait(): Promise<void> {
    const { firstMs, mostMs, newsMs } = this.#backoff
    const waitMs = Math.min(mostMs, firstMs * 2 ** (this.#failures - 1))
    this.#patience = new AbortController()
    this.#news = new AbortController()
    const ends = [this.#stopped.signal, this.#patience.signal]
    const wait = (ms: number, signals: AbortSignal[]): Promise<unknown> =>
      sleep(ms, undefined, { signal: AbortSignal.any(signals) }).catch(() => undefined)
    await wait(Math.min(waitMs, newsMs), ends)
    if (waitMs > newsMs && !ends.some(({ aborted }) => aborted))
      await wait(waitMs - newsMs, [...ends, this.#news.signal])
  }
}
