import { setTimeout as sleep } from 'node:timers/promises'
import { Backoff } from './backoff.ts'
import type { DockerApi } from './api.ts'
import { DockerSession } from './session.ts'
import type { SessionListener } from './session.ts'

/** An engine that is not there is a state, not a failure; `error` says why, for people. */
export interface DockerState {
  readonly connected: boolean
  readonly error: string | undefined
}

export interface DockerListener extends SessionListener {
  /** When it changes; the first call says how the first attempt went. */
  onState(state: DockerState): void
}

export interface DockerWatcherOptions {
  /** Called for each attempt; `() => connectDocker(config.docker.socket)`. */
  readonly connect: () => DockerApi
  readonly listener: DockerListener
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

  /** A port of this network was connected, as the kernel tells. */
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
        this.#become({ connected: false, error: sayWhy(error) })
      }
      if (signal.aborted) return
      if (this.#nowMs() - startedAtMs >= STEADY_MS) this.#backoff.reset()
      await sleep(this.#backoff.nextMs(), undefined, { signal }).catch(() => undefined)
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { connect, listener, coalesceMs = 100, relistMs = 300_000 } = this.#options
    const session = (this.#session = new DockerSession(
      connect(),
      {
        onInventory: (...told) => listener.onInventory(...told),
        onNetwork: (network) => listener.onNetwork(network),
        onEvent: (type, action) => listener.onEvent(type, action),
        onProblem: (sentence) => this.#reportOnce(sentence),
      },
      { coalesceMs, relistMs, nowMs: this.#nowMs },
    ))
    // The engine counts whole seconds; a second back, because a repeated event does no harm and a missed one does.
    const sinceSeconds = Math.floor(this.#nowMs() / 1000) - 1
    await session.run(sinceSeconds, signal, () => this.#become({ connected: true, error: undefined }))
  }

  #become(state: DockerState): void {
    if (this.#state?.connected === state.connected && this.#state.error === state.error) return
    this.#state = state
    this.#options.listener.onState(state)
  }

  /** Each listing finds the same problems again. The bound is for a host that makes up new ones for ever. */
  #reportOnce(sentence: string): void {
    if (this.#reported.has(sentence)) return
    if (this.#reported.size >= 1_000) this.#reported.clear()
    this.#reported.add(sentence)
    this.#options.listener.onProblem(sentence)
  }
}

/** The chain of causes in one line, a sentence said twice only once. */
const sayWhy = (error: unknown): string => {
  const parts: string[] = []
  for (let current = error; current instanceof Error && parts.length < 4; current = current.cause) {
    const message = current.message.trim()
    if (!parts.some((part) => part.includes(message))) parts.push(message)
  }
  return parts.join(': ') || String(error)
}
