import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { EngineJson } from './docker-json.ts'
import { ENGINE_28 } from './docker-json.ts'

type Json = Record<string, unknown>

/**
 * An engine's API on a unix socket, with the habits that matter: raw event lines, headers held back until the first event, events
 * replayed from `since`, 404 for what has gone, connections cut. It can be absent, come, die and come back.
 */
export class FakeDocker {
  readonly socket: string
  engine: EngineJson = ENGINE_28
  /** Real engines of some versions send no headers on /events before the first event. */
  holdEventHeaders = false
  /** Path → what to do instead of answering: a status code, `hang` (no answer until {@link release}), `cut` (half an answer, then the connection ends), `garbage` (no JSON), `endless` (an answer that goes on). */
  readonly faults = new Map<string, number | 'hang' | 'cut' | 'garbage' | 'endless'>()
  /** Of answers that are errors. */
  message = 'as the test wished'
  /** Every request line's path, without the query. */
  readonly requests: string[] = []
  readonly networks = new Map<string, Json>()
  readonly containers = new Map<string, Json>()
  readonly images = new Map<string, Json>()
  #server: Server | undefined
  #held: (() => void)[] = []
  readonly #sockets = new Set<Socket>()
  readonly #streams = new Set<ServerResponse>()
  readonly #history: { readonly atSeconds: number; readonly line: string }[] = []
  readonly #directory: string

  static async create(): Promise<FakeDocker> {
    return new FakeDocker(await mkdtemp(join(tmpdir(), 'fake-docker-')))
  }

  private constructor(directory: string) {
    this.#directory = directory
    this.socket = join(directory, 'docker.sock')
  }

  async appear(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response))
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(this.socket, resolve))
    this.#server = server
  }

  /** The process is gone: connections break, the socket refuses. */
  async disappear(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.cutConnections()
    if (server) await new Promise((resolve) => server.close(resolve))
  }

  cutConnections(): void {
    this.#streams.clear()
    for (const socket of this.#sockets) socket.destroy()
  }

  async remove(): Promise<void> {
    await this.disappear()
    await rm(this.#directory, { recursive: true, force: true })
  }

  /** Faults end, and what hung is answered. */
  release(): void {
    this.faults.clear()
    const held = this.#held
    this.#held = []
    for (const answer of held) answer()
  }

  get listeners(): number {
    return this.#streams.size
  }

  addNetwork(json: Json): void {
    this.networks.set(String(json['Id']), json)
    this.emit('network', 'create', String(json['Id']), { name: json['Name'], type: json['Driver'] })
  }

  removeNetwork(id: string): void {
    this.networks.delete(id)
    this.emit('network', 'destroy', id)
  }

  addContainer(json: Json): void {
    this.containers.set(String(json['Id']), json)
    this.emit('container', 'start', String(json['Id']), { name: json['Name'] })
  }

  removeContainer(id: string): void {
    this.containers.delete(id)
    this.emit('container', 'destroy', id)
  }

  emit(type: string, action: string, id: string, attributes: Json = {}): void {
    const nowMs = Date.now()
    const event = {
      Type: type,
      Action: action,
      Actor: { ID: id, Attributes: attributes },
      scope: 'local',
      time: Math.floor(nowMs / 1000),
      timeNano: nowMs * 1_000_000,
    }
    this.emitRaw(`${JSON.stringify(event)}\n`)
  }

  /** Exactly these bytes, at once: for lines cut in the middle and lines that are no events. */
  emitRaw(text: string): void {
    this.#history.push({ atSeconds: Math.floor(Date.now() / 1000), line: text })
    for (const stream of this.#streams) stream.write(text)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://docker')
    this.requests.push(url.pathname)
    const fault = this.faults.get(url.pathname)
    if (fault === 'hang') {
      this.#held.push(() => this.#answer(request, response))
      return
    }
    if (fault === 'cut') {
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' })
      response.write('[{"Id":')
      setTimeout(() => response.destroy(), 10)
      return
    }
    if (fault === 'garbage') {
      response.writeHead(200, { 'Content-Type': 'application/json' })
      response.end('{"Id":')
      return
    }
    if (fault === 'endless') {
      response.writeHead(200, { 'Content-Type': 'application/json' })
      const more = (): void => {
        while (!response.destroyed && response.write(BLANKS));
      }
      response.on('drain', more)
      return more()
    }
    if (typeof fault === 'number') return send(response, fault, { message: this.message })
    if (url.pathname === '/events') return this.#stream(url, response)
    const [status, body] = this.#lookUp(url.pathname)
    send(response, status, body)
  }

  #lookUp(path: string): [status: number, body: unknown] {
    if (path === '/info') return [200, this.engine.info]
    if (path === '/version') return [200, this.engine.version]
    const image = /^\/images\/([^/]+)\/json$/.exec(path)?.[1]
    if (image !== undefined) return orMissing(this.images.get(image), 'image')
    if (path === '/networks') return [200, [...this.networks.values()]]
    if (path === '/containers/json') {
      return [
        200,
        [...this.containers.values()].map((container) => ({
          Id: container['Id'],
          Names: [container['Name']],
          State: (container['State'] as Json | undefined)?.['Status'],
          Labels: (container['Config'] as Json | undefined)?.['Labels'],
          HostConfig: container['HostConfig'],
          NetworkSettings: container['NetworkSettings'],
        })),
      ]
    }
    const network = /^\/networks\/([^/]+)$/.exec(path)?.[1]
    if (network !== undefined) return orMissing(this.networks.get(network), 'network')
    const container = /^\/containers\/([^/]+)\/json$/.exec(path)?.[1]
    if (container !== undefined) return orMissing(this.containers.get(container), 'container')
    return [404, { message: 'page not found' }]
  }

  #stream(url: URL, response: ServerResponse): void {
    const since = Number(url.searchParams.get('since') ?? Number.POSITIVE_INFINITY)
    response.writeHead(200, { 'Content-Type': 'application/json' })
    if (!this.holdEventHeaders) response.flushHeaders()
    for (const { atSeconds, line } of this.#history) if (atSeconds >= since) response.write(line)
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }
}

const BLANKS = ' '.repeat(1024 * 1024)

const orMissing = (json: Json | undefined, what: string): [number, unknown] =>
  json ? [200, json] : [404, { message: `no such ${what}` }]

const send = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(body))
}
