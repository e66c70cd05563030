import { existsSync, readdirSync, statSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import type { Argv, Box, Service } from './box.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface DaemonOptions {
  /** YAML. `docker` and `state` are added where it has none. */
  readonly config: string
  /** More arguments after `run --config F`. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** False: return as soon as it is started. */
  readonly wait?: boolean
}

export interface CliResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The program under test as the lab's host has it: one config, one runtime directory, one state directory. */
export class Embargod {
  private count = 0

  constructor(
    private readonly host: Box,
    private readonly directory: string,
    private readonly dockerSocket: string,
  ) {}

  get configFile(): string {
    return join(this.directory, 'embargod.yaml')
  }

  get stateDirectory(): string {
    return join(this.directory, 'state')
  }

  get env(): NodeJS.ProcessEnv {
    return { ...process.env, EMBARGOD_RUNTIME_DIR: join(this.directory, 'runtime') }
  }

  async writeConfig(yaml: string): Promise<void> {
    await mkdir(join(this.directory, 'runtime'), { recursive: true, mode: 0o700 })
    const own = (key: string) => new RegExp(`^${key}:`, 'm').test(yaml)
    const added = [
      ...(own('docker') ? [] : [`docker: { socket: ${this.dockerSocket} }`]),
      ...(own('state') ? [] : [`state: ${this.stateDirectory}`]),
    ]
    await writeFile(this.configFile, [yaml, ...added, ''].join('\n'), { mode: 0o600 })
    await chmod(this.configFile, 0o600)
  }

  /** Starts the daemon and returns when it says that the policy is in the kernel. */
  async run(options: DaemonOptions): Promise<Daemon> {
    await this.writeConfig(options.config)
    this.count += 1
    const service = this.host.start(
      [...programArgv(), 'run', '--config', this.configFile, ...(options.args ?? [])],
      join(this.directory, `daemon-${this.count}.log`),
      { ...this.env, ...options.env },
    )
    const daemon = new Daemon(service, this)
    if (options.wait !== false) await daemon.ready()
    return daemon
  }

  /** A command of the program, in the host; never rejects for its exit code. */
  async cli(
    args: readonly string[],
    options: { readonly timeoutMs?: number; readonly input?: string } = {},
  ): Promise<CliResult> {
    const [file, ...rest] = this.host.enter([...programArgv(), ...args])
    const result = await execa(file, rest, {
      env: this.env,
      timeout: options.timeoutMs ?? 30_000,
      killSignal: 'SIGKILL',
      reject: false,
      stripFinalNewline: false,
      input: options.input ?? '',
    })
    return { code: result.exitCode ?? 137, stdout: result.stdout, stderr: result.stderr }
  }
}

export class Daemon {
  constructor(
    private readonly service: Service,
    private readonly embargod: Embargod,
  ) {}

  get logs(): string {
    return this.service.log
  }

  get pid(): number | undefined {
    return this.service.pid
  }

  get ended(): Promise<number> {
    return this.service.ended
  }

  /** Waits until `status` exits with 0; rejects with the log when the daemon ends or takes too long. */
  async ready(timeoutMs = 30_000): Promise<void> {
    const deadlineMs = Date.now() + timeoutMs
    let last = ''
    while (Date.now() < deadlineMs && this.service.exitCode === undefined) {
      const status = await this.embargod.cli(['status'])
      if (status.code === 0) return
      last = `status exited with ${status.code}: ${status.stdout}${status.stderr}`
      await sleep(100)
    }
    throw new Error(
      `the daemon is not ready (exit code ${this.service.exitCode})\n${last}\n${this.logs.slice(-4000)}`,
    )
  }

  /** New config, then SIGHUP. */
  async hup(yaml?: string): Promise<void> {
    if (yaml !== undefined) await this.embargod.writeConfig(yaml)
    this.service.signal('SIGHUP')
  }

  signal(signal: NodeJS.Signals): void {
    this.service.signal(signal)
  }

  term(): Promise<number> {
    return this.service.stop('SIGTERM')
  }

  kill(): Promise<number> {
    return this.service.stop('SIGKILL')
  }
}

/** The bundle where it is as new as the sources, else the sources; `EMBARGOD_LAB_PROGRAM` names another file. */
export function programArgv(): Argv {
  const named = process.env['EMBARGOD_LAB_PROGRAM']
  if (named !== undefined) return [process.execPath, named]
  const bundle = join(ROOT, 'dist/embargod.cjs')
  if (existsSync(bundle) && statSync(bundle).mtimeMs >= newestSource()) return [process.execPath, bundle]
  // By its place: inside the box the working directory is another.
  return [process.execPath, '--import', import.meta.resolve('tsx'), join(ROOT, 'src/main.ts')]
}

function newestSource(): number {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  return Math.max(...files.map((file) => statSync(join(ROOT, 'src', file)).mtimeMs))
}
