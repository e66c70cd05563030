import { Agent } from 'node:http'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import Docker from 'dockerode'
import { inspectionOf } from './inventory.ts'

/** The questions that this product asks the engine. Answers are foreign JSON; every one but `events` rejects within the time limit. */
export interface DockerApi {
  version(): Promise<unknown>
  info(): Promise<unknown>
  networks(): Promise<unknown>
  /** Undefined when there is no such network (any more). */
  network(id: string): Promise<unknown>
  containerIds(): Promise<readonly string[]>
  /**
   * Undefined when there is no such container (any more). The engine lets who inspects a container wait until nobody starts, stops or removes
   * it, for ever where it has lost track of it: after the time limit what the list says has to do, as it has where the inspection fails or
   * cannot be read.
   */
  container(id: string): Promise<unknown>
  /** What the list says of it, which waits for nobody, in the shape of an inspection; undefined as above. */
  containerInList(id: string): Promise<unknown>
  /** Undefined when there is no such image (any more). */
  image(id: string): Promise<unknown>
  /** Resolves with the response headers, which some engines hold back until the first event. */
  events(sinceSeconds: number, signal: AbortSignal): Promise<Readable>
  close(): void
}

const TIMEOUT_MS = 10_000

/** Only what changes networks, containers or the engine: a busy host emits far more (exec, health checks, attach). */
const EVENT_FILTERS = {
  type: ['network', 'container', 'daemon'],
  event: [
    'create',
    'destroy',
    'remove',
    'connect',
    'disconnect',
    'prune',
    'start',
    'die',
    'rename',
    'update',
    'reload',
  ],
}

export const connectDocker = (socketPath: string, timeoutMs = TIMEOUT_MS): DockerApi => {
  // A connection each: a kept one may be dead when dockerd was restarted, and a new one costs a tenth of a millisecond.
  const agent = new TerseAgent({ keepAlive: false })
  // `host: undefined` and `protocol` because DOCKER_HOST in the environment would win over the socket.
  const options = { socketPath, host: undefined, protocol: 'http' as const, agent }
  // Ours comes first: it tells an answer that is late from a connection that broke.
  const asking = new Docker({ ...options, timeout: timeoutMs + 1_000 })
  // A time limit would also end an idle event stream.
  const listening = new Docker({ ...options, timeout: undefined })
  const ask = <T>(what: string, answer: Promise<T>): Promise<T> => withDeadline(what, answer, timeoutMs)
  const containerInList = async (id: string): Promise<unknown> => {
    const filters = JSON.stringify({ id: [id] })
    const list = await ask('listing a container', asking.listContainers({ all: true, filters }))
    const found = Array.isArray(list) ? list.find((container) => container.Id === id) : undefined
    return found && inspectionOf(found)
  }
  return {
    version: () => ask('asking the engine for its version', asking.version()),
    info: () => ask('asking the engine for its facts', asking.info()),
    networks: () => ask('listing networks', asking.listNetworks()),
    network: (id) =>
      orAbsent(ask('inspecting a network', asking.getNetwork(encodeURIComponent(id)).inspect())),
    containerIds: async () => {
      const list = await ask('listing containers', asking.listContainers({ all: true }))
      if (!Array.isArray(list)) throw new Error('listing containers: no list')
      return list.map(({ Id: id }) => {
        if (typeof id !== 'string' || id === '') throw new Error('listing containers: one of them has no id')
        return id
      })
    },
    container: async (id) => {
      const inspecting = ask('inspecting a container', asking.getContainer(encodeURIComponent(id)).inspect())
      try {
        return await orAbsent(inspecting)
      } catch (error) {
        if (!(error instanceof DockerError)) throw error
        return await containerInList(id)
      }
    },
    containerInList,
    image: (id) => orAbsent(ask('inspecting an image', asking.getImage(encodeURIComponent(id)).inspect())),
    events: async (since, abortSignal) => {
      const wanted = { since, filters: JSON.stringify(EVENT_FILTERS), abortSignal }
      const stream = await listening.getEvents(wanted)
      if (!(stream instanceof Readable)) throw new Error('no stream of events')
      return stream
    },
    close: () => agent.destroy(),
  }
}

/** docker-modem prints its options, agent and open sockets included, before every request, for a debug log that nobody sees: 15 ms of a core. */
class TerseAgent extends Agent {
  [inspect.custom](): string {
    return 'agent'
  }
}

/** dockerode never settles when the engine dies in the middle of an answer. */
const withDeadline = async <T>(what: string, answer: Promise<T>, timeoutMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    const json = await Promise.race([answer, deadline])
    // What is no JSON, or too long for a text, comes as its bytes. Taken for an answer it would hold nothing.
    if (typeof json !== 'object' || json === null || json instanceof Uint8Array)
      throw new Error('the answer cannot be read')
    return json
  } catch (cause) {
    throw new DockerError(what, { cause })
  } finally {
    clearTimeout(timer)
  }
}

/** A question that the engine did not answer; `statusCode` when it answered with an error of its own. */
export class DockerError extends Error {
  override readonly name = 'DockerError'
  readonly statusCode: number | undefined

  constructor(what: string, options: { readonly cause: unknown }) {
    const { cause } = options
    super(`${what}: ${cause instanceof Error ? cause.message.trim() : String(cause)}`, options)
    this.statusCode =
      cause instanceof Error && 'statusCode' in cause && typeof cause.statusCode === 'number'
        ? cause.statusCode
        : undefined
  }
}

const orAbsent = async (answer: Promise<unknown>): Promise<unknown> => {
  try {
    return await answer
  } catch (error) {
    if (error instanceof DockerError && error.statusCode === 404) return undefined
    throw error
  }
}
