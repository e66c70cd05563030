import type { Config } from '../config/model.ts'
import { areSameServers, nameServerText, type NameServer } from '../dns/name-server.ts'
import type { Logger } from '../observe/logger.ts'
import { errorMessage } from '../system/errors.ts'

export interface OwnServersOptions {
  /** Resolves to the servers that the config names, else to those of the host. */
  readonly read: (config: Config) => Promise<readonly NameServer[]>
  readonly log: Logger
  /** Why they cannot be read; undefined: they can. */
  readonly onState: (problem: string | undefined) => void
}

/** The file has a few lines: reading it costs less than watching all files that it may link to. */
const LOOK_MS = 5_000

/** The name servers of our own look-ups. Those of the host change with its DHCP lease or a tunnel. */
export class OwnServers {
  #known: readonly NameServer[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly options: OwnServersOptions) {}

  /** Never rejects. A file without servers, as while it is being written, changes nothing. */
  async of(config: Config): Promise<readonly NameServer[]> {
    try {
      const found = await this.options.read(config)
      this.options.onState(undefined)
      if (found.length > 0) this.#known = found
    } catch (error) {
      const known = this.#known.length > 0 ? 'those known before are asked' : 'nobody is asked'
      this.options.onState(`the name servers of the host cannot be read, so ${known}: ${errorMessage(error)}`)
    }
    return this.#known
  }

  /**
   * Reads them again every few seconds.
   * @param config the config in force
   * @param onChange called when the servers changed without a reload
   */
  watch(config: () => Config, onChange: (servers: readonly NameServer[]) => void): void {
    this.#timer ??= setInterval(() => void this.#look(config(), onChange), LOOK_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(config: Config, onChange: (servers: readonly NameServer[]) => void): Promise<void> {
    const before = this.#known
    const servers = await this.of(config)
    if (areSameServers(servers, before)) return
    this.options.log.info(
      { servers: servers.map(nameServerText) },
      'the host asks other name servers than before',
    )
    onChange(servers)
  }
}
