/** Why a pass is asked for. */
export type Trigger =
  'start' | 'answer' | 'docker' | 'link' | 'drift' | 'reload' | 'timer' | 'until' | 'retry'

/** The kernel, or what stands around it, is no longer what a pass failed on. */
const NEWS: ReadonlySet<Trigger> = new Set(['docker', 'link', 'drift'])

interface RetryDelays {
  readonly firstMs: number
  /** Each wait is twice the one before, up to this. */
  readonly mostMs: number
  /** So long after a failure news are reason enough to try again. */
  readonly newsMs: number
}

/** What has begun in the loop and has not ended. */
export interface UnderWay {
  readonly work: string
  readonly sinceMs: number
  /** What it waits for, as it said itself; undefined: it has not said. */
  readonly step: string | undefined
}

/** What was asked for was not done, since a pass does not end or the loop was stopped. */
export class NotDoneError extends Error {
  override readonly name = 'NotDoneError'
}

/** Something that has the kernel for itself between two passes. */
interface Job {
  readonly what: string
  /** Never rejects. */
  readonly run: () => Promise<void>
  readonly giveUp: (error: NotDoneError) => void
}

/** Rejects when the kernel is not as desired. */
export type Pass = (triggers: ReadonlySet<Trigger>) => Promise<void>

/**
 * Runs passes one at a time. Triggers that come during a pass, or before the loop is started, are gathered into the next; a failed pass is tried again,
 * after longer and longer waits.
 */
export class Loop {
  #pass: Pass | undefined
  readonly #backoff: RetryDelays
  #wanted = new Set<Trigger>()
  #jobs: Job[] = []
  /** Those who wait for a pass that has not begun. */
  #waiters: (() => void)[] = []
  /** Those who wait for what is under way. */
  #served: (() => void)[] = []
  #running: Promise<void> | undefined
  #underWay: UnderWay | undefined
  #starting: UnderWay | undefined
  #failures = 0
  /** Ends the wait after a failure. */
  #patience = new AbortController()
  /** Something changed since the failure. */
  #news = new AbortController()
  readonly #stopped = new AbortController()
  #leave: (() => void) | undefined
  readonly #clock: () => number

  constructor(
    backoff = { firstMs: 200, mostMs: 15_000, newsMs: 1_000 },
    clock: () => number = () => performance.now(),
  ) {
    this.#backoff = backoff
    this.#clock = clock
    this.#starting = this.#begin('the first look at this host')
  }

  /** From now on passes are run. */
  start(pass: Pass): void {
    this.#pass = pass
    this.#starting = undefined
    if (this.#wanted.size > 0) this.request('retry')
  }

  /** Undefined: nothing is, as between two passes. Times are those of the clock that was given. */
  get underWay(): UnderWay | undefined {
    return this.#underWay ?? this.#starting
  }

  /** To be called by what is under way, when it begins to wait for something else. */
  at(step: string): void {
    if (this.#underWay) this.#underWay = { ...this.#underWay, step }
  }

  /** Whoever waits is told now, as if it had failed: what is under way does not end. */
  giveUpWaiting(): void {
    for (const waiter of [...this.#served.splice(0), ...this.#waiters.splice(0)]) waiter()
    for (const { giveUp } of this.#jobs.splice(0))
      giveUp(new NotDoneError('a pass that is under way does not end: see `embargod status`'))
    this.#leave?.()
  }

  /** Returns at once. */
  request(trigger: Trigger): void {
    if (this.#stopped.signal.aborted) return
    this.#wanted.add(trigger)
    // A person waits for a reload, and it may well bring what was missing.
    if (trigger === 'reload') this.#patience.abort()
    if (NEWS.has(trigger)) this.#news.abort()
    this.#start()
  }

  /** Resolves when a pass that began after this call has ended, well or not, or when nobody waits for it any more. */
  async requestAndWait(trigger: Trigger): Promise<void> {
    if (this.#stopped.signal.aborted) return
    await new Promise<void>((resolve) => {
      this.#waiters.push(resolve)
      this.request(trigger)
    })
  }

  /**
   * Runs something that looks at the kernel or writes to it between two passes, also between two that fail.
   * @throws NotDoneError when what is under way does not end
   */
  exclusively<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#stopped.signal.aborted) return Promise.reject(new NotDoneError(`${what}: embargod is stopping`))
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ what, run: () => work().then(resolve, reject), giveUp: reject })
      this.#patience.abort()
      this.#start()
    })
  }

  /** Waits for a pass that is under way, unless it does not end. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#wanted.clear()
    const given = new Promise<void>((resolve) => (this.#leave = resolve))
    await Promise.race([this.#running, given])
    for (const waiter of this.#waiters.splice(0)) waiter()
    for (const { what, giveUp } of this.#jobs.splice(0))
      giveUp(new NotDoneError(`${what}: embargod is stopping`))
  }

  #start(): void {
    if (this.#stopped.signal.aborted || (!this.#isPassDue && this.#jobs.length === 0)) return
    this.#running ??= this.#drain().finally(() => {
      this.#running = undefined
      this.#start()
    })
  }

  get #isPassDue(): boolean {
    return this.#wanted.size > 0 && this.#pass !== undefined
  }

  async #drain(): Promise<void> {
    // One turn of the event loop gathers what came together.
    await new Promise((resolve) => setImmediate(resolve))
    while (!this.#stopped.signal.aborted) {
      const job = this.#jobs.shift()
      if (job) {
        const giveUp = (): void =>
          job.giveUp(new NotDoneError(`${job.what} does not end: see \`embargod status\``))
        await this.#tracked(job.what, [giveUp], job.run)
        continue
      }
      const pass = this.#pass
      if (!this.#isPassDue || !pass) return
      const triggers = this.#wanted
      const waiters = this.#waiters.splice(0)
      this.#wanted = new Set()
      let isToWait = false
      try {
        await this.#tracked('a pass', waiters, () => pass(triggers))
        this.#failures = 0
      } catch {
        // The pass has told why. Its triggers stand until one succeeds.
        this.#failures++
        isToWait = this.#jobs.length === 0 && !this.#wanted.has('reload')
        for (const trigger of triggers) this.#wanted.add(trigger)
        this.#wanted.add('retry')
      }
      for (const waiter of waiters) waiter()
      if (isToWait) await this.#wait()
    }
  }

  /** @param served whom {@link giveUpWaiting} tells while it lasts */
  async #tracked(work: string, served: readonly (() => void)[], begin: () => Promise<void>): Promise<void> {
    this.#underWay = this.#begin(work)
    this.#served = [...served]
    try {
      await begin()
    } finally {
      this.#underWay = undefined
      this.#served = []
    }
  }

  #begin(work: string): UnderWay {
    return { work, sinceMs: this.#clock(), step: undefined }
  }

  async #wait(): Promise<void> {
    const { firstMs, mostMs, newsMs } = this.#backoff
    const waitMs = Math.min(mostMs, firstMs * 2 ** (this.#failures - 1))
    this.#patience = new AbortController()
    this.#news = new AbortController()
    const ends = [this.#stopped.signal, this.#patience.signal]
    await waitUnless(Math.min(waitMs, newsMs), ends)
    if (waitMs > newsMs && !ends.some(({ aborted }) => aborted))
      await waitUnless(waitMs - newsMs, [...ends, this.#news.signal])
  }
}

/** Resolves after the time, or as soon as one of the signals is given. */
function waitUnless(ms: number, signals: AbortSignal[]): Promise<void> {
  const ended = AbortSignal.any(signals)
  return new Promise((resolve) => {
    if (ended.aborted) return resolve()
    const end = (): void => {
      clearTimeout(timer)
      ended.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    ended.addEventListener('abort', end)
  })
}
