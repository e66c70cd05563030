import { Agent } from 'node:http'
import { inspect } from 'node:util'

/**
 * docker-modem formats its options for a debug log before every request, the agent with its open sockets among them, which takes 15 ms of a core.
 * This agent prints as one word. Every question gets a connection of its own: a kept one may be dead after a restart of dockerd, and a new one costs a
 * tenth of a millisecond.
 */
export class TerseAgent extends Agent {
  constructor() {
    super({ keepAlive: false })
  }

  [inspect.custom](): string {
    return 'agent'
  }
}

/** The agent of one question, which limits the answer. dockerode gathers whole answers, and the labels of an image can make one arbitrarily long. */
export class BoundedAgent extends TerseAgent {
  /** Rejects when the answer is longer than the limit. The connection is then closed. */
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
