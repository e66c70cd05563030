import type { Logger } from '../observe/logger.ts'
import { SaveQueue } from '../state/save-queue.ts'
import { StateError, StateStore, type StateFormat } from '../state/state-store.ts'
import type { Health } from './health.ts'
import { errorMessage } from '../system/errors.ts'

/** What could not be written is tried again this often: somebody may have made room. */
const RETRY_MS = 30_000

type Wish = () => Promise<void>

/** The state directory, with whatever goes wrong there told as health: a full disk is no reason to stop guarding. */
export class Store {
  readonly #files: StateStore
  readonly #queues: SaveQueue[] = []
  /** By file: one that can be written says nothing of another that cannot. */
  readonly #problems = new Map<string, string>()
  /** What was wanted of each file last. */
  readonly #latest = new Map<string, Wish>()
  /** Of those, what could not be done. */
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
      this.#bad(name, `state cannot be read: ${errorMessage(error)}`)
    }
    return undefined
  }

  /** Never rejects: what cannot be written is told by {@link problemOf} and tried again. */
  save<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    return this.#wish(name, () => this.#files.save(name, value, format))
  }

  /**
   * As {@link save}, of what must never give way to its predecessor: where it cannot be written, what the disk has of it goes, which takes no room and makes
   * some.
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

  /** Rejects where it cannot be written, and that is the end of it. */
  async saveNow<T>(name: string, value: T, format: StateFormat<T>): Promise<void> {
    await this.#files.save(name, value, format)
    this.#latest.delete(name)
    this.#unsaved.delete(name)
    this.#good(name)
  }

  /** When what {@link load} brought was written, epoch ms. */
  writtenAtMs(name: string): number | undefined {
    return this.#writtenAtMs.get(name)
  }

  /** What is wrong with the state file of this name; undefined: nothing, as far as reading and writing it have told. */
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

  #wish(name: string, wish: Wish): Promise<void> {
    this.#latest.set(name, wish)
    return this.#fulfil(name, wish)
  }

  async #fulfil(name: string, wish: Wish): Promise<void> {
    // One that was overtaken meanwhile must not be tried again: it would undo the later one.
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

  /** One sentence, however many files have the same trouble. */
  #tell(): void {
    const [first, ...others] = this.#problems.values()
    const concern = `state ${this.directory}`
    if (first === undefined) this.health.set(concern, undefined)
    else this.health.set(concern, others.length === 0 ? first : `${first} (and ${others.length} more)`)
  }
}
