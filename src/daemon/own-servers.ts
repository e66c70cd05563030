import type { Config } from '../config/model.ts'
import type { Logger } from '../observe/logger.ts'

export interface OwnServersOptions {
  /** The name servers of the host itself. */
  readonly read: () => Promise<readonly string[]>
  readonly log: Logger
  /** The host has others than before, and they are those that we ask. */
  readonly onChange: () => void
}

/** A file of a few lines: to read it costs less than to watch everything that it may be a link to. */
const LOOK_MS = 5_000

/** Whom we ask ourselves: those that the config names, else the host's own, which change with its lease or a tunnel. */
export class OwnServers {
  #host: readonly string[] = []
  #isReadable = true
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: OwnServersOptions) {}

  /** Never rejects. A file that names none, as one does that is being written, changes nothing. */
  async of({ resolver: { servers } }: Config): Promise<readonly string[]> {
    if (servers.length > 0) return servers
    try {
      const found = await this.options.read()
      this.#isReadable = true
      if (found.length > 0) this.#host = found
    } catch (error) {
      if (this.#isReadable)
        this.options.log.warn({ err: error }, 'the name servers of the host cannot be read')
      this.#isReadable = false
    }
    return this.#host
  }

  /** Looks again and again, for the config in force. */
  watch(config: () => Config): void {
    this.#timer ??= setInterval(() => void this.#look(config()), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(config: Config): Promise<void> {
    if (config.resolver.servers.length > 0) return
    const before = this.#host
    const servers = await this.of(config)
    if (servers.join() === before.join()) return
    this.options.log.info({ servers }, 'the host asks other name servers than before')
    this.options.onChange()
  }
}
