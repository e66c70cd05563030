import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type Docker from 'dockerode'
import { IMAGE } from './image.ts'

export interface ContainerOptions {
  /** A network's name, `host` or `none`; default: the default bridge. */
  readonly network?: string
  readonly name?: string
  /** Default: the lab's image, which sleeps. */
  readonly image?: string
  readonly cmd?: readonly string[]
  readonly caps?: readonly string[]
  readonly privileged?: boolean
  /** The container's own resolvers (`--dns`). */
  readonly dns?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly binds?: readonly string[]
  /** container port → host port, TCP */
  readonly publish?: Readonly<Record<number, number>>
  readonly restart?: 'no' | 'always'
  /** Its hardware address on `network`. */
  readonly mac?: string
  /** Anything else of the engine's HostConfig. */
  readonly host?: Docker.HostConfig & { readonly CgroupnsMode?: 'host' | 'private' }
}

export interface ExecResult {
  /** As a shell's: 137 when the time was up. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class LabContainer {
  private constructor(
    private readonly docker: Docker,
    readonly id: string,
    readonly name: string,
    private readonly image: string,
  ) {}

  static async start(docker: Docker, options: ContainerOptions): Promise<LabContainer> {
    const image = options.image ?? IMAGE
    const { caps, dns, labels, binds, cmd, mac, network, name, privileged, publish, restart } = options
    const ports = Object.entries(publish ?? {})
    const wanted: Docker.ContainerCreateOptions = {
      Image: image,
      ...(cmd ? { Cmd: [...cmd] } : {}),
      ...(labels ? { Labels: { ...labels } } : {}),
      ExposedPorts: Object.fromEntries(ports.map(([port]) => [`${port}/tcp`, {}])),
      StopTimeout: 0,
      // The second is for engines since 25, of which the first is none.
      ...(mac === undefined ? {} : { MacAddress: mac }),
      ...(mac === undefined || network === undefined
        ? {}
        : { NetworkingConfig: { EndpointsConfig: { [network]: { MacAddress: mac } } } }),
      HostConfig: {
        ...(network === undefined ? {} : { NetworkMode: network }),
        ...(caps ? { CapAdd: [...caps] } : {}),
        ...(dns ? { Dns: [...dns] } : {}),
        ...(binds ? { Binds: [...binds] } : {}),
        ...(privileged === undefined ? {} : { Privileged: privileged }),
        ...(restart ? { RestartPolicy: { Name: restart } } : {}),
        PortBindings: Object.fromEntries(
          ports.map(([port, hostPort]) => [`${port}/tcp`, [{ HostPort: String(hostPort) }]]),
        ),
        ...options.host,
      },
    }
    // Otherwise all of it would also stand in the address that is asked, which may be too long for labels.
    const parts = { _query: name === undefined ? {} : { name }, _body: wanted }
    const created = await docker.createContainer(parts as Docker.ContainerCreateOptions)
    await created.start()
    const facts = await created.inspect()
    return new LabContainer(docker, created.id, facts.Name.slice(1), image)
  }

  /** Its addresses in all networks, IPv4 first; empty while it does not run. */
  async addresses(): Promise<{ readonly ipv4: readonly string[]; readonly ipv6: readonly string[] }> {
    const { NetworkSettings } = await this.docker.getContainer(this.id).inspect()
    const endpoints = Object.values(NetworkSettings.Networks)
    const filled = (values: readonly (string | undefined)[]) =>
      values.filter((value) => value !== undefined && value !== '')
    return {
      ipv4: filled(endpoints.map((endpoint) => endpoint.IPAddress)).map(String),
      ipv6: filled(endpoints.map((endpoint) => endpoint.GlobalIPv6Address)).map(String),
    }
  }

  /** The pid of its first process as the host sees it. */
  async pid(): Promise<number> {
    return (await this.docker.getContainer(this.id).inspect()).State.Pid
  }

  /** Runs a program inside and never rejects for its exit code. Default limit 15 s, kept by the image's busybox. */
  async exec(argv: readonly string[], options: { readonly timeoutMs?: number } = {}): Promise<ExecResult> {
    const seconds = Math.ceil((options.timeoutMs ?? 15_000) / 1000)
    const limited = this.image === IMAGE ? ['timeout', '-s', 'KILL', String(seconds), ...argv] : [...argv]
    const exec = await this.docker
      .getContainer(this.id)
      .exec({ Cmd: limited, AttachStdout: true, AttachStderr: true })
    const stream = await exec.start({ hijack: true, stdin: false })
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const texts = Promise.all([textOf(stdout), textOf(stderr)])
    this.docker.modem.demuxStream(stream, stdout, stderr)
    await new Promise((resolve, reject) => {
      stream.once('end', resolve)
      stream.once('close', resolve)
      stream.once('error', reject)
    })
    stdout.end()
    stderr.end()
    const [out, err] = await texts
    return { code: await exitCode(exec), stdout: out, stderr: err }
  }

  async connectTo(network: string): Promise<void> {
    await this.docker.getNetwork(network).connect({ Container: this.id })
  }

  async disconnectFrom(network: string): Promise<void> {
    await this.docker.getNetwork(network).disconnect({ Container: this.id, Force: true })
  }

  async restart(): Promise<void> {
    await this.docker.getContainer(this.id).restart({ t: 0 })
  }

  /** Kills and removes it. */
  async stop(): Promise<void> {
    await this.docker.getContainer(this.id).remove({ force: true, v: true })
  }
}

/** The stream can end a moment before the engine knows the exit code. */
async function exitCode(exec: Docker.Exec): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { Running, ExitCode } = await exec.inspect()
    if (!Running && ExitCode !== null) return ExitCode
    await sleep(10)
  }
  throw new Error('the engine does not say how the program ended')
}

async function textOf(stream: PassThrough): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString('utf8')
}
