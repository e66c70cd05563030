import type { Agent } from 'node:http'
import { Readable } from 'node:stream'
import Docker from 'dockerode'
import { inspectionOf } from '../inventory.ts'
import { listOf, objectOf, textOf } from '../json.ts'
import { BoundedAgent, TerseAgent } from './bounded-agent.ts'
import { DockerError, orAbsent } from './docker-error.ts'

/** The questions that embargod asks the engine. Answers are foreign JSON. Every question but `events` rejects when the answer takes longer than the time limit, or is too long. */
export interface DockerApi {
  version(): Promise<unknown>
  info(): Promise<unknown>
  networks(): Promise<unknown>
  /** Undefined when there is no such network (any more). */
  network(id: string): Promise<unknown>
  containerIds(): Promise<readonly string[]>
  /**
   * An inspection; undefined when there is no such container (any more). The engine answers only when the container is not being started, stopped
   * or removed, and never where it has lost track of it. So after the time limit, and where the inspection fails, cannot be read or is too long,
   * the container is read from the list instead.
   */
  container(id: string): Promise<unknown>
  /** What the list says of the container, in the shape of an inspection. The list never waits. Undefined as above. */
  containerInList(id: string): Promise<unknown>
  /** Undefined when there is no such image (any more). */
  image(id: string): Promise<unknown>
  /** Resolves with the response headers, which some engines hold back until the first event. */
  events(sinceSeconds: number, signal: AbortSignal): Promise<Readable>
  close(): void
}

const TIMEOUT_MS = 10_000
const MIB = 1024 * 1024
/** A thousand containers take 5 MiB. */
const LIST_BYTES = 64 * MIB
/** For the answer about one network, container or image. Eight are asked for at once. */
const ONE_BYTES = 8 * MIB

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
  // `host: undefined` and `protocol` because DOCKER_HOST in the environment would win over the socket.
  const dockerBy = (agent: Agent, timeout: number | undefined): Docker => {
    const options = { socketPath, host: undefined, protocol: 'http' as const, agent, timeout }
    return new Docker(options)
  }
  const agents = new Set<Agent>()
  const listening = new TerseAgent()
  agents.add(listening)
  const ask = async <T>(
    what: string,
    mostBytes: number,
    question: (docker: Docker) => Promise<T>,
  ): Promise<T> => {
    const agent = new BoundedAgent(mostBytes)
    agents.add(agent)
    try {
      // Our own time limit ends first, so that a late answer is told from a connection that broke.
      const answer = question(dockerBy(agent, timeoutMs + 1_000))
      return await inTime(Promise.race([answer, agent.tooLong]), timeoutMs)
    } catch (cause) {
      throw new DockerError(what, { cause })
    } finally {
      agent.destroy()
      agents.delete(agent)
    }
  }
  const containerInList = async (id: string): Promise<unknown> => {
    const filters = JSON.stringify({ id: [id] })
    const list = await ask('listing a container', LIST_BYTES, (docker) =>
      docker.listContainers({ all: true, filters }),
    )
    const found = listOf(list).find((container) => objectOf(container)['Id'] === id)
    return found && inspectionOf(found)
  }
  return {
    version: () => ask('asking the engine for its version', ONE_BYTES, (docker) => docker.version()),
    info: () => ask('asking the engine for its facts', ONE_BYTES, (docker) => docker.info()),
    networks: () => ask('listing networks', LIST_BYTES, (docker) => docker.listNetworks()),
    network: (id) =>
      orAbsent(
        ask('inspecting a network', ONE_BYTES, (docker) =>
          docker.getNetwork(encodeURIComponent(id)).inspect(),
        ),
      ),
    containerIds: async () => {
      const list: unknown = await ask('listing containers', LIST_BYTES, (docker) =>
        docker.listContainers({ all: true }),
      )
      if (!Array.isArray(list)) throw new Error('listing containers: no list')
      return list.map((container) => {
        const id = textOf(objectOf(container)['Id'])
        if (id === '') throw new Error('listing containers: one of them has no id')
        return id
      })
    },
    container: async (id) => {
      const inspecting = ask('inspecting a container', ONE_BYTES, (docker) =>
        docker.getContainer(encodeURIComponent(id)).inspect(),
      )
      try {
        return await orAbsent(inspecting)
      } catch (error) {
        if (!(error instanceof DockerError)) throw error
        return await containerInList(id)
      }
    },
    containerInList,
    image: (id) =>
      orAbsent(
        ask('inspecting an image', ONE_BYTES, (docker) => docker.getImage(encodeURIComponent(id)).inspect()),
      ),
    events: async (since, abortSignal) => {
      const wanted = { since, filters: JSON.stringify(EVENT_FILTERS), abortSignal }
      // A time limit would also end an idle stream.
      const stream = await dockerBy(listening, undefined).getEvents(wanted)
      if (!(stream instanceof Readable)) throw new Error('no stream of events')
      return stream
    },
    close: () => {
      for (const agent of agents) agent.destroy()
    },
  }
}

/** dockerode never settles when the engine dies in the middle of an answer. */
const inTime = async <T>(answer: Promise<T>, timeoutMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    const json = await Promise.race([answer, deadline])
    // dockerode returns bytes for what is no JSON, or too long for a text. Taken for an answer, they would read as an empty object.
    if (typeof json !== 'object' || json === null || json instanceof Uint8Array)
      throw new Error('the answer cannot be read')
    return json
  } finally {
    clearTimeout(timer)
  }
}
