import { startHttpServer, type HttpServer } from '../observe/http.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Health } from './health.ts'
import { errorMessage } from '../system/errors.ts'

const RETRY_MS = 10_000

interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** The HTTP server of the metrics. If its port is taken, the host is guarded all the same, and it is tried again. */
export class MetricsPort {
  #place: ListenAddress | undefined
  #server: HttpServer | undefined
  #work: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined

  constructor(
    private readonly metrics: Metrics,
    private readonly health: Health,
    private readonly notReady: () => readonly string[],
  ) {}

  /** Listens at this address, if it does not already. */
  serve(place: ListenAddress): void {
    if (this.#place?.host === place.host && this.#place.port === place.port) return
    this.#place = place
    this.#begin()
  }

  async close(): Promise<void> {
    this.#place = undefined
    clearTimeout(this.#retry)
    await this.#work
    await this.#server?.close()
  }

  #begin(): void {
    clearTimeout(this.#retry)
    this.#work = this.#work.then(() => this.#listen())
  }

  async #listen(): Promise<void> {
    await this.#server?.close()
    this.#server = undefined
    if (!this.#place) return
    try {
      const { metrics, notReady } = this
      this.#server = await startHttpServer({ ...this.#place, metrics, notReady })
      this.health.set('metrics', undefined)
    } catch (error) {
      this.health.set('metrics', errorMessage(error))
      this.#retry = setTimeout(() => this.#begin(), RETRY_MS).unref()
    }
  }
}
