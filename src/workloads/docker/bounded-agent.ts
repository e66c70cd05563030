import { Agent } from 'node:http'
import { inspect } from 'node:util'

/**
 * docker-modem prints its options, agent and open sockets included, before every request, for a debug log that nobody sees: 15 ms of a core.
 * A connection each: a kept one may be dead when dockerd was restarted, and a new one costs a tenth of a millisecond.
 */
export class TerseAgent extends Agent {
  constructor() {
    super({ keepAlive: false })
  }

  [inspect.custom](): string {
    return 'agent'
  }
}

/** Of one question. dockerode gathers whole answers, and an image can bring labels that make one as long as it likes. */
export class BoundedAgent extends TerseAgent {
  /** Rejects when more came than that; the connection is closed then. */
  readonly tooLong: Promise<never>
  readonly #mostBytes: number
  #refuse!: (error: Error) => void

  constructor(mostBytes: number) {
    super()
    this.#mostBytes = mostBytes
    this.tooLong = new Promise((_resolve, reject) => (this.#refuse = reject))
    this.tooLong.catch(() => undefined)
  }

  override createConnection(...[options, callback]: Parameters<Agent['createConnection']>) {
    const socket = super.createConnection(options, callback)
    let bytes = 0
    socket?.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= this.#mostBytes) return
      this.#refuse(new TooLongError(this.#mostBytes))
      socket.destroy()
    })
    return socket
  }
}

export class TooLongError extends Error {
  constructor(mostBytes: number) {
    super(`the answer is longer than ${mostBytes / 1024 / 1024} MiB`)
  }
}
