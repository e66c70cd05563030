import type { ServiceManager } from '../system/systemd.ts'

/** What the service manager is told: READY when the kernel holds the policy, and from then on one line about how the daemon is. */
export class ServiceStatus {
  readonly #service: ServiceManager
  #problems: readonly string[] = []
  /** Undefined: the manager was not told READY yet. */
  #countNames: (() => number) | undefined
  #isStopping = false
  #fedAtMs = 0

  constructor(service: ServiceManager) {
    this.#service = service
  }

  /** @param problems what is wrong now, in sentences, the worst first */
  setProblems(problems: readonly string[]): void {
    this.#problems = problems
    if (this.#countNames !== undefined && !this.#isStopping) void this.#service.status(this.#line())
  }

  /** @param countNames how many names the policy in force allows */
  async ready(countNames: () => number): Promise<void> {
    this.#countNames = countNames
    await this.#service.ready(this.#line())
  }

  /** A reload before READY, or while we stop, is not announced: the manager takes the end of a reload for READY. */
  async duringReload<T>(reload: () => Promise<T>): Promise<T> {
    if (this.#countNames === undefined || this.#isStopping) return reload()
    await this.#service.reloading()
    try {
      return await reload()
    } finally {
      if (!this.#isStopping) await this.#service.ready(this.#line())
    }
  }

  /** To be called as often as the loop proves that it lives. */
  feedWatchdog(): void {
    const { watchdogIntervalMs } = this.#service
    const nowMs = performance.now()
    if (watchdogIntervalMs === undefined || nowMs - this.#fedAtMs < watchdogIntervalMs / 2) return
    this.#fedAtMs = nowMs
    void this.#service.watchdog()
  }

  async stopping(): Promise<void> {
    this.#isStopping = true
    await this.#service.stopping()
  }

  #line(): string {
    return this.#problems.length > 0
      ? `degraded: ${this.#problems.join('; ')}`.slice(0, 400)
      : `enforcing ${this.#countNames?.()} names`
  }
}
