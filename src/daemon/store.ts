import type { Logger } from '../observe/logger.ts'
import { SaveQueue } from '../system/save-queue.ts'
import { StateStore, type StateFormat } from '../system/state.ts'
import { type Health, messageOf } from './health.ts'

/** The state directory, with whatever goes wrong there told as health: a full disk is no reason to stop guarding. */
export class Store {
  readonly #files: StateStore
  readonly #queues: SaveQueue[] = []

  constructor(
    readonly directory: string,
    private readonly health: Health,
    private readonly log: Logger,
  ) {
    this.#files = new StateStore(directory)
  }

  /** Undefined: nothing that can be used. */
  async load<T>(name: string, format: StateFormat<T>): Promise<T | undefined> {
    try {
      const loaded = await this.#files.load(name, format)
      if (loaded.kind === 'loaded') return loaded.value
      if (loaded.kind === 'corrupt') {
        const { movedTo, detail } = loaded
        this.log.error({ movedTo, detail }, 'state file was corrupt and is moved aside')
      }
      if (loaded.kind === 'newer') {
        this.health.bad('state', `the state file ${name} was written by a later version and is left alone`)
      }
    } catch (error) {
      this.health.bad('state', `state cannot be read: ${messageOf(error)}`)
    }
    return undefined
  }

  async save<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    try {
      await this.#files.save(name, value, format)
      this.health.good('state')
    } catch (error) {
      this.#failed(error)
    }
  }

  /** A saver that gathers requests over `delayMs`. */
  queue<T>(name: string, format: StateFormat<T>, delayMs: number, value: () => T | Promise<T>): SaveQueue {
    const queue = new SaveQueue({
      delayMs,
      save: async () => this.#files.save(name, await value(), format),
      onError: (error) => this.#failed(error),
      onSaved: () => this.health.good('state'),
    })
    this.#queues.push(queue)
    return queue
  }

  async flush(): Promise<void> {
    for (const queue of this.#queues) await queue.flush()
  }

  #failed(error: unknown): void {
    this.health.bad('state', `state cannot be saved: ${messageOf(error)}`)
  }
}
