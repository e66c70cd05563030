import type { Logger } from '../observe/logger.ts'
import { SaveQueue } from '../state/save-queue.ts'
import { StateError, StateStore, type StateFormat } from '../state/state-store.ts'
import type { Health } from './health.ts'
import { errorMessage } from '../system/errors.ts'

/** How often a failed write is tried again: there may be room by then. */
const RETRY_MS = 30_000

type Wish = () => Promise<void>

/** The state directory. Its errors become health problems: with a full disk the host is guarded all the same. */
export class Store {
  readonly #files: StateStore
  readonly #queues: SaveQueue[] = []
  /** By file, since one may be writable when another is not. */
  readonly #problems = new Map<string, string>()
  /** The last wish for each file. */
  readonly #latest = new Map<string, Wish>()
  /** Wishes that failed. */
  readonly #unsaved = new Map<string, Wish>()
  readonly #writtenAtMs = new Map<string, number>()
  #retryTimer: NodeJS.Timeout | undefined

  constructor(
    readonly directory: string,
    private readonly health: Health,
    private readonly log: Logger,
  ) {
    this.#files = new StateStore(directory)
  }

  /** Undefined: there is no file, or none that can be used. */
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
      this.#bad(name, `state cannot be read: ${errorMessage(error)}`)
    }
    return undefined
  }

  /** Never rejects: a write that fails is reported by {@link problemOf} and tried again. */
  save<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    return this.#wish(name, () => this.#files.save(name, value, format))
  }

  /**
   * As {@link save}, for a file whose older content must never be used again: if the new one cannot be written, the file is removed, which takes no room on
   * a full disk.
   */
  async replace<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    await this.#wish(name, async () => {
      try {
        await this.#files.save(name, value, format)
      } catch (error) {
        if (error instanceof StateError && error.kind === 'newer') throw error
        const standing = await this.#files.peek(name, format)
        if (JSON.stringify(standing) === JSON.stringify(value)) return
        await this.#files.remove(name)
        await this.#files.save(name, value, format)
      }
    })
  }

  async remove(name: string): Promise<void> {
    await this.#wish(name, () => this.#files.remove(name))
  }

  /** Rejects when it cannot be written, and does not try again. */
  async saveNow<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    await this.#files.save(name, value, format)
    this.#latest.delete(name)
    this.#unsaved.delete(name)
    this.#good(name)
  }

  /** When the file that {@link load} read was written, epoch ms. */
  writtenAtMs(name: string): number | undefined {
    return this.#writtenAtMs.get(name)
  }

  /** Why the last reading or writing of this state file failed; undefined: it did not. */
  problemOf(name: string): string | undefined {
    return this.#problems.get(name)
  }

  /** A queue that saves once for all requests within `delayMs`. */
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

  #wish(name: string, wish: Wish): Promise<void> {
    this.#latest.set(name, wish)
    return this.#fulfil(name, wish)
  }

  async #fulfil(name: string, wish: Wish): Promise<void> {
    // An older wish must not be tried again: it would undo the later one.
    const isLatest = (): boolean => this.#latest.get(name) === wish
    try {
      await wish()
      if (!isLatest()) return
      this.#latest.delete(name)
      this.#unsaved.delete(name)
      this.#good(name)
    } catch (error) {
      if (!isLatest()) return
      this.#unsaved.set(name, wish)
      this.#retryTimer ??= setTimeout(() => void this.#retry(), RETRY_MS).unref()
      this.#failed(name, error)
    }
  }

  async #retry(): Promise<void> {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    for (const [name, wish] of this.#unsaved) await this.#fulfil(name, wish)
  }

  #failed(name: string, error: unknown): void {
    this.#bad(name, `state cannot be saved: ${errorMessage(error)}`)
  }

  #bad(name: string, problem: string): void {
    this.#problems.set(name, problem)
    this.#tell()
  }

  #good(name: string): void {
    if (this.#problems.delete(name)) this.#tell()
  }

  /** One sentence, however many files have a problem. */
  #tell(): void {
    const [first, ...others] = this.#problems.values()
    const concern = `state ${this.directory}`
    if (first === undefined) this.health.set(concern, undefined)
    else this.health.set(concern, others.length === 0 ? first : `${first} (and ${others.length} more)`)
  }
}
