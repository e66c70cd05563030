import { mkdirSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Docker from 'dockerode'
import type { RunOptions, RunResult } from '../../src/system/exec.ts'
import { type Argv, Box, type Service } from './box.ts'
import { type ContainerOptions, LabContainer } from './container.ts'
import { type CliResult, type Daemon, type DaemonOptions, Embargod } from './embargod.ts'
import { Engine } from './engine.ts'
import { chosenEngine, engineBinaries, type EngineVersion } from './engines.ts'
import { FarEnd } from './far-end.ts'
import { privateFiles, writeHostFile } from './host-files.ts'
import { importImage } from './image.ts'
import { Inet } from './inet.ts'
import { cgroupOf, directoryOf, removeLab, removeStaleLabs, writeRecord } from './leftovers.ts'
import { connect } from './topology.ts'

export interface LabOptions {
  /** Default: see `chosenEngine`. */
  readonly engine?: EngineVersion
  /** Part of the lab's name, for people. */
  readonly name?: string
  /** Gives the default bridge IPv6 too. Default true. */
  readonly ipv6?: boolean
  /** `flag` (default): dockerd gets `--dns`; `host`: the host's resolv.conf counts. */
  readonly dns?: 'flag' | 'host'
  readonly dockerdFlags?: readonly string[]
  /** False: no engine runs until `lab.engine.start()`. */
  readonly startEngine?: boolean
}

export interface NetworkOptions {
  /** A bridge name of one's own. */
  readonly bridge?: string
  /** Adds an IPv6 subnet. */
  readonly ipv6?: boolean
  readonly internal?: boolean
  readonly driver?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly options?: Readonly<Record<string, string>>
}

/**
 * A Docker host in a box: real engine, real kernel, and a little internet behind its only interface.
 * `await using lab = await Lab.start()` or `lab.stop()`; when the process ends in any way, the lab ends too.
 */
export class Lab {
  readonly docker: Docker
  readonly inet: Inet
  readonly farEnd: FarEnd
  readonly embargod: Embargod
  private networks = 0
  private services = 0
  private kept = false

  private constructor(
    readonly name: string,
    readonly engineVersion: EngineVersion,
    readonly hostBox: Box,
    readonly inetBox: Box,
    readonly engine: Engine,
  ) {
    this.docker = new Docker({ socketPath: engine.socket })
    this.inet = new Inet(inetBox, this.directory)
    this.farEnd = new FarEnd(inetBox)
    this.embargod = new Embargod(hostBox, join(this.directory, 'embargod'), engine.socket)
  }

  static async start(options: LabOptions = {}): Promise<Lab> {
    removeStaleLabs()
    const engineVersion = options.engine ?? chosenEngine()
    const binaries = await engineBinaries(engineVersion)
    const name = `${process.pid}-${(started += 1)}${options.name === undefined ? '' : `-${options.name}`}`
    const directory = directoryOf(name)
    mkdirSync(directory, { mode: 0o700 })
    const [hostBox, inetBox] = await openBoxes().catch((cause: unknown) => {
      removeLab(name, [])
      throw new Error('starting the lab', { cause })
    })
    const engine = new Engine(hostBox, directory, {
      binaries,
      ipv6: options.ipv6 ?? true,
      dns: options.dns ?? 'flag',
      flags: options.dockerdFlags ?? [],
      cgroup: cgroupOf(name),
    })
    const lab = new Lab(name, engineVersion, hostBox, inetBox, engine)
    running.add(lab)
    lab.record()
    try {
      await lab.build(options.startEngine ?? true)
    } catch (cause) {
      await lab.stop()
      throw new Error(`starting the lab with engine ${engineVersion}`, { cause })
    }
    return lab
  }

  get directory(): string {
    return directoryOf(this.name)
  }

  /** Runs a program in the Docker host: its network, processes and files. Rejects with `ToolError`. */
  host(argv: Argv, options?: RunOptions): Promise<RunResult> {
    return this.hostBox.run(argv, options)
  }

  /** Runs a program in the little internet. Rejects with `ToolError`. */
  internet(argv: Argv, options?: RunOptions): Promise<RunResult> {
    return this.inetBox.run(argv, options)
  }

  /** Starts a program that stays, in the host or the internet. */
  service(where: 'host' | 'internet', argv: Argv): Service {
    this.services += 1
    const log = join(this.directory, `service-${this.services}.log`)
    return (where === 'host' ? this.hostBox : this.inetBox).start(argv, log)
  }

  async network(name: string, options: NetworkOptions = {}): Promise<Docker.Network> {
    this.networks += 1
    const bridge: Record<string, string> =
      options.bridge === undefined ? {} : { 'com.docker.network.bridge.name': options.bridge }
    const subnet6 = `fd00:d0c:${this.networks.toString(16)}::/64`
    return this.docker.createNetwork({
      Name: name,
      Driver: options.driver ?? 'bridge',
      Internal: options.internal ?? false,
      EnableIPv6: options.ipv6 ?? false,
      Labels: { ...options.labels },
      Options: { ...bridge, ...options.options },
      ...(options.ipv6 ? { IPAM: { Config: [{ Subnet: subnet6 }] } } : {}),
    })
  }

  container(options: ContainerOptions = {}): Promise<LabContainer> {
    return LabContainer.start(this.docker, options)
  }

  daemon(options: DaemonOptions): Promise<Daemon> {
    return this.embargod.run(options)
  }

  cli(
    args: readonly string[],
    options?: { readonly timeoutMs?: number; readonly input?: string },
  ): Promise<CliResult> {
    return this.embargod.cli(args, options)
  }

  /** As `systemctl restart docker`. */
  async restartEngine(extraFlags: readonly string[] = []): Promise<void> {
    await this.engine.stop()
    await this.engine.start(extraFlags)
  }

  async killEngine(): Promise<void> {
    await this.engine.kill()
  }

  writeHostFile(path: string, text: string): Promise<void> {
    return writeHostFile(this.hostBox, path, text)
  }

  /** Polls until the predicate holds; rejects with `what`, and the host's rules, when it does not in time. */
  async waitFor(
    what: string,
    predicate: () => boolean | Promise<boolean>,
    timeoutMs = 10_000,
  ): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs
    for (;;) {
      if (await predicate()) return
      if (Date.now() > deadlineMs)
        throw new Error(`${what}: not within ${timeoutMs} ms\n${await this.dump()}`)
      await sleep(20)
    }
  }

  /** The host's whole firewall as text, for failures. */
  async dump(): Promise<string> {
    const parts: Argv[] = [
      ['iptables-save', '-c'],
      ['ip6tables-save', '-c'],
      ['ipset', 'list'],
      ['nft', 'list', 'tables'],
    ]
    const texts = await Promise.all(
      parts.map(async (argv) => {
        const { stdout } = await this.host(argv, { okExitCodes: [1] })
        return `--- ${argv.join(' ')}\n${stdout.slice(0, 20_000)}`
      }),
    )
    return texts.join('\n')
  }

  /** Lets the lab outlive this process; `down.ts` removes it. */
  keep(): void {
    this.kept = true
    this.hostBox.keep()
    this.inetBox.keep()
    this.record()
    running.delete(this)
  }

  /** Ends everything; nothing stays. Never rejects for a part that is gone already. */
  async stop(): Promise<void> {
    running.delete(this)
    removeLab(this.name, [this.hostBox.pid, this.inetBox.pid])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  private async build(startEngine: boolean): Promise<void> {
    await mkdir(join(this.directory, 'embargod'), { mode: 0o700 })
    await Promise.all([connect(this.inetBox, this.hostBox), privateFiles(this.hostBox, this.directory)])
    // The place where the engine's clients look for it.
    await this.host(['ln', '-s', this.engine.socket, '/run/docker.sock'])
    await Promise.all([this.inet.start(), this.farEnd.start(), startEngine ? this.engine.start() : undefined])
    if (startEngine) await importImage(this.docker)
  }

  private record(): void {
    const { pid: hostPid } = this.hostBox
    writeRecord({ name: this.name, owner: process.pid, kept: this.kept, hostPid, inetPid: this.inetBox.pid })
  }
}

const openBoxes = () => Promise.all([Box.open({ mounts: true }), Box.open({ mounts: false })])

let started = 0
const running = new Set<Lab>()

function stopAll(): void {
  for (const lab of running) removeLab(lab.name, [lab.hostBox.pid, lab.inetBox.pid])
  running.clear()
}

process.on('exit', stopAll)
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.on(signal, () => process.exit(code))
}
