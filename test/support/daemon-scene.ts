import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { callDaemon } from '../../src/control/client.ts'
import { startDaemon, type Daemon } from '../../src/daemon/daemon.ts'
import { createDrivers } from '../../src/host/drivers.ts'
import { HostView } from '../../src/host/host-view.ts'
import { createLogger } from '../../src/observe/logger.ts'
import type { Run } from '../../src/system/exec.ts'
import type { LineProcess } from '../../src/system/line-process.ts'
import { UndoStack } from '../../src/system/undo-stack.ts'
import type { OwnedTable } from '../../src/targets/backstop/owned-table.ts'
import { connectDocker } from '../../src/workloads/docker/api.ts'
import { DnsServer, zone } from './dns-server.ts'
import { FakeDocker } from './fake-docker.ts'
import { FakeKernel } from './fake-kernel.ts'
import { scratchDirectory } from './scratch.ts'

/** A bridge as `ip` lists it. */
const bridge = (index: number, name: string) => ({
  ifindex: index,
  ifname: name,
  linkinfo: { info_kind: 'bridge', info_data: { no_linklocal_learn: 1 } },
  addr_info: [],
})

/** The whole daemon, from its config file to its control socket, on a kernel and an engine that are fakes. */
export class DaemonScene {
  readonly kernel = new FakeKernel()
  readonly names: Record<string, readonly string[]> = {}
  /** What the service manager was told, in order. */
  readonly told: string[] = []
  /** Lines of the log. */
  readonly log: { readonly msg: string }[] = []
  readonly #links = [bridge(2, 'docker0')]
  readonly #undo = new UndoStack()
  readonly #stop = new AbortController()
  #starting: Promise<Daemon> | undefined

  static async create(): Promise<DaemonScene> {
    const directory = await scratchDirectory()
    const [engine, freePort] = [await FakeDocker.create(), await findFreePort()]
    const scene = new DaemonScene(directory, engine, freePort)
    scene.kernel.nowMs = Date.now()
    await engine.appear()
    await scene.#serveNames()
    return scene
  }

  private constructor(
    readonly directory: string,
    readonly engine: FakeDocker,
    private readonly metricsPort: number,
  ) {}

  #dns!: DnsServer

  async #serveNames(): Promise<void> {
    this.#dns = await DnsServer.start((asked, query) => zone(this.names)(asked, query))
  }

  /** @param lines beside those that put the daemon into this scene */
  async writeConfig(lines: string): Promise<void> {
    const { directory, engine, metricsPort } = this
    const text = `${lines}
docker: { socket: ${engine.socket} }
dns: { servers: [192.0.2.53] }
resolver: { servers: ["127.0.0.1:${this.#dns.port}"] }
metrics: { listen: "127.0.0.1:${metricsPort}" }
verify: { every: never }
log: { level: debug }
state: ${join(directory, 'state')}
`
    await writeFile(join(directory, 'embargod.yaml'), text, { mode: 0o600 })
  }

  /** The engine makes a network, and the kernel its bridge. */
  addBridge(name: string): void {
    this.#links.push(bridge(this.#links.length + 2, name))
  }

  /** Resolves when the first pass was tried. */
  start(): Promise<Daemon> {
    const tell = async (what: string): Promise<void> => void this.told.push(what)
    this.#starting = startDaemon(
      {
        configFile: join(this.directory, 'embargod.yaml'),
        runtimeDirectory: join(this.directory, 'run'),
        inherited: [],
        stateDirectory: join(this.directory, 'state'),
        run: this.#run,
        log: createLogger({
          level: 'debug',
          pretty: false,
          destination: { write: (line: string) => void this.log.push(JSON.parse(line) as { msg: string }) },
        }),
        service: {
          watchdogIntervalMs: undefined,
          ready: () => tell('ready'),
          status: () => tell('status'),
          reloading: () => tell('reloading'),
          watchdog: () => tell('watchdog'),
          stopping: () => tell('stopping'),
        },
        confirmMs: undefined,
        onNoWayBack: () => undefined,
        onReadable: () => undefined,
        requestStop: () => this.#stop.abort(),
        stop: this.#stop.signal,
        openHost: (run) => ({
          run,
          drivers: { ...createDrivers(run), ownedTable: NO_OWNED_TABLE },
          setWriter: { open: async () => undefined, write: async () => undefined },
          view: new HostView(run),
          connectDocker,
          watchLinks: () => NO_PROCESS,
          watchRules: () => NO_PROCESS,
        }),
      },
      this.#undo,
    )
    return this.#starting
  }

  /** As SIGTERM. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#undo.unwind()
  }

  async end(): Promise<void> {
    await this.stop()
    await this.#starting?.catch(() => undefined)
    await this.engine.remove()
    await this.#dns.stop()
  }

  /** As a command asks. */
  ask<T>(name: string, body?: unknown): Promise<T | undefined> {
    return callDaemon<T>(name, body, { directory: join(this.directory, 'run') })
  }

  readonly #run: Run = async (argv, options) => {
    if (argv.join(' ') === 'ip -json -details address show')
      return { stdout: JSON.stringify(this.#links), stderr: '', exitCode: 0 }
    return this.kernel.run(argv, options)
  }
}

const NO_PROCESS = { start: () => undefined, stop: async () => undefined } as unknown as LineProcess
const NO_OWNED_TABLE = {
  changeFor: async () => undefined,
  write: async () => undefined,
} as unknown as OwnedTable

async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port')
  return address.port
}
