import { setTimeout as sleep } from 'node:timers/promises'
import { errorChain } from '../../system/errors.ts'
import type { DockerApi } from './api.ts'
import { Backoff } from './backoff.ts'
import { DockerSession } from './session.ts'
import type { DockerState, DockerUpdate, SessionUpdate } from './updates.ts'

export interface DockerWatcherOptions {
  /** Called for each attempt; `() => connectDocker(config.docker.socket)`. */
  readonly connect: () => DockerApi
  readonly onUpdate: (update: DockerUpdate) => void
  readonly backoff?: Backoff
  readonly coalesceMs?: number
  readonly relistMs?: number
  readonly nowMs?: () => number
}

/** A connection that lived this long was a good one: the next attempt need not wait. */
const STEADY_MS = 5_000

/** Keeps a session with the engine for as long as there is one, and looks for the next when it is lost. */
export class DockerWatcher {
  readonly #options: DockerWatcherOptions
  readonly #backoff: Backoff
  readonly #nowMs: () => number
  readonly #stopping = new AbortController()
  readonly #reported = new Set<string>()
  #state: DockerState | undefined
  #session: DockerSession | undefined
  #done: Promise<void> | undefined

  constructor(options: DockerWatcherOptions) {
    this.#options = options
    this.#backoff = options.backoff ?? new Backoff()
    this.#nowMs = options.nowMs ?? Date.now
  }

  /** Returns at once, whether or not there is an engine. */
  start(): void {
    this.#done ??= this.#keepWatching()
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#done
  }

  /** Asks for a full listing; without an engine nothing happens, for the next connection begins with one. */
  relist(): void {
    this.#session?.relist()
  }

  /** To be called when the kernel tells that a port of this network was connected. */
  lookAtPorts(network: string): void {
    void this.#session?.lookAtPorts(network)
  }

  async #keepWatching(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const startedAtMs = this.#nowMs()
      try {
        await this.#watch(signal)
      } catch (error) {
        this.#setState({ connected: false, error: errorChain(error) })
      }
      if (signal.aborted) return
      if (this.#nowMs() - startedAtMs >= STEADY_MS) this.#backoff.reset()
      await sleep(this.#backoff.nextMs(), undefined, { signal }).catch(() => undefined)
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { connect, coalesceMs = 100, relistMs = 300_000 } = this.#options
    const timing = { coalesceMs, relistMs, nowMs: this.#nowMs }
    const session = new DockerSession(connect(), (update) => this.#relay(update), timing)
    this.#session = session
    // The engine counts whole seconds. One second earlier, since a repeated event does no harm and a missed one does.
    const sinceSeconds = Math.floor(this.#nowMs() / 1000) - 1
    await session.run(sinceSeconds, signal)
  }

  #setState(state: DockerState): void {
    if (this.#state?.connected === state.connected && this.#state.error === state.error) return
    this.#state = state
    this.#options.onUpdate({ kind: 'state', state })
  }

  #relay(update: SessionUpdate): void {
    if (update.kind === 'problem' && !this.#isNewProblem(update.sentence)) return
    this.#options.onUpdate(update)
    if (update.kind === 'inventory') this.#setState({ connected: true, error: undefined })
  }

  /** Each listing finds the same problems again. The bound is for an engine that makes up new ones for ever. */
  #isNewProblem(sentence: string): boolean {
    if (this.#reported.has(sentence)) return false
    if (this.#reported.size >= 1_000) this.#reported.clear()
    this.#reported.add(sentence)
    return true
  }
}
