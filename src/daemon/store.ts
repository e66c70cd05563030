import type { Logger } from '../observe/logger.ts'
import { SaveQueue } from '../system/save-queue.ts'
import { StateError, StateStore, type StateFormat } from '../system/state.ts'
import { type Health, messageOf } from './health.ts'

/** What could not be written is tried again this often: somebody may have made room. */
const RETRY_MS = 30_000

/** The state directory, with whatever goes wrong there told as health: a full disk is no reason to stop guarding. */
export class Store {
  readonly #files: StateStore
  readonly #queues: SaveQueue[] = []
  /** By file: one that can be written says nothing of another that cannot. */
  readonly #problems = new Map<string, string>()
  /** The latest content of files that could not be written, each with its way to the disk. */
  readonly #unsaved = new Map<string, () => Promise<void>>()
  readonly #writtenAtMs = new Map<string, number>()
  #retryTimer: NodeJS.Timeout | undefined

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
      if (loaded.kind === 'loaded') {
        this.#writtenAtMs.set(name, loaded.writtenAtMs)
        return loaded.value
      }
      if (loaded.kind === 'corrupt') {
        const { movedTo, detail } = loaded
        this.log.error({ movedTo, detail }, 'state file was corrupt and is moved aside')
      }
      if (loaded.kind === 'newer') {
        this.#bad(name, `the state file ${name} was written by a later version and is left alone`)
      }
    } catch (error) {
      this.#bad(name, `state cannot be read: ${messageOf(error)}`)
    }
    return undefined
  }

  /** Never rejects: what cannot be written is told by {@link problemOf} and tried again. */
  save<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    return this.#write(name, () => this.#files.save(name, value, format))
  }

  /**
   * As {@link save}, of what must never give way to its predecessor: where it cannot be written, what the disk has of it goes, which takes no room and makes
   * some.
   */
  async replace<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    await this.#write(name, async () => {
      try {
        await this.#files.save(name, value, format)
      } catch (error) {
        if (error instanceof StateError && error.kind === 'newer') throw error
        await this.#files.remove(name)
        await this.#files.save(name, value, format)
      }
    })
  }

  async remove(name: string): Promise<void> {
    await this.#write(name, () => this.#files.remove(name))
  }

  /** Rejects where it cannot be written, and that is the end of it. */
  async saveNow<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    await this.#files.save(name, value, format)
    this.#unsaved.delete(name)
    this.#good(name)
  }

  /** When what {@link load} brought was written, epoch ms. */
  writtenAtMs(name: string): number | undefined {
    return this.#writtenAtMs.get(name)
  }

  /** Why this file is not as it should be; undefined: it is, as far as anybody tried. */
  problemOf(name: string): string | undefined {
    return this.#problems.get(name)
  }

  /** A saver that gathers requests over `delayMs`. */
  queue<T>(name: string, format: StateFormat<T>, delayMs: number, value: () => T | Promise<T>): SaveQueue {
    const queue = new SaveQueue({
      delayMs,
      save: async () => this.#files.save(name, await value(), format),
      onError: (error) => this.#failed(name, error),
      onSaved: () => this.#good(name),
    })
    this.#queues.push(queue)
    return queue
  }

  async flush(): Promise<void> {
    await this.#retry()
    clearTimeout(this.#retryTimer)
    for (const queue of this.#queues) await queue.flush()
  }

  async #write(name: string, write: () => Promise<void>): Promise<void> {
    try {
      await write()
      // Only the latest wish counts.
      this.#unsaved.delete(name)
      this.#good(name)
    } catch (error) {
      this.#unsaved.set(name, write)
      this.#retryTimer ??= setTimeout(() => void this.#retry(), RETRY_MS).unref()
      this.#failed(name, error)
    }
  }

  async #retry(): Promise<void> {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    for (const [name, write] of this.#unsaved) await this.#write(name, write)
  }

  #failed(name: string, error: unknown): void {
    this.#bad(name, `state cannot be saved: ${messageOf(error)}`)
  }

  #bad(name: string, problem: string): void {
    this.#problems.set(name, problem)
    this.#tell()
  }

  #good(name: string): void {
    if (this.#problems.delete(name)) this.#tell()
  }

  /** One sentence, however many files have the same trouble. */
  #tell(): void {
    const [first, ...others] = this.#problems.values()
    const concern = `state ${this.directory}`
    if (first === undefined) this.health.good(concern)
    else this.health.bad(concern, others.length === 0 ? first : `${first} (and ${others.length} more)`)
  }
}
