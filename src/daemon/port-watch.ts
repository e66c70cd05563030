import { otherHolders, type PortHolder } from '../system/port-holders.ts'
import { errorMessage } from '../system/errors.ts'

export interface PortWatchOptions {
  /** Called after each look; undefined: no other process has the port. */
  readonly onState: (problem: string | undefined) => void
  readonly holders?: (port: number) => Promise<readonly PortHolder[]>
}

const LOOK_MS = 5_000

/** Looks whether another process receives questions at the gateway's port. None can join our socket, but one may have had the port before. */
export class PortWatch {
  readonly #options: PortWatchOptions
  #timer: NodeJS.Timeout | undefined
  #port: number | undefined
  /** The port of the look under way: there is one at a time. */
  #lookingAt: number | undefined

  constructor(options: PortWatchOptions) {
    this.#options = options
  }

  /** Resolves after the first look. */
  async watch(port: number): Promise<void> {
    if (this.#port === port) return
    this.stop()
    this.#port = port
    this.#timer = setInterval(() => void this.#look(port), LOOK_MS).unref()
    await this.#look(port)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#port = undefined
    this.#options.onState(undefined)
  }

  async #look(port: number): Promise<void> {
    if (this.#lookingAt === port) return
    this.#lookingAt = port
    const problem = await this.#problemOf(port)
    if (this.#lookingAt === port) this.#lookingAt = undefined
    if (port === this.#port) this.#options.onState(problem)
  }

  async #problemOf(port: number): Promise<string | undefined> {
    const { holders = otherHolders } = this.#options
    try {
      const others = (await holders(port)).map(
        ({ uid, pid }) => `user ${uid}${pid === undefined ? '' : ` (process ${pid})`}`,
      )
      if (others.length === 0) return undefined
      return `UDP port ${port} of the DNS gateway is also held by ${[...new Set(others)].join(', ')}, who gets questions of containers: stop it, or name another port in dns.port`
    } catch (error) {
      return `who holds port ${port} cannot be seen (${errorMessage(error)})`
    }
  }
}
