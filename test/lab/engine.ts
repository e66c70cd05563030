import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Argv, Box, Service } from './box.ts'
import { INET } from './topology.ts'

export interface EngineOptions {
  /** Put in front of PATH; undefined for the installed engine. */
  readonly binaries: string | undefined
  /** Gives the default bridge an IPv6 subnet. */
  readonly ipv6: boolean
  /** `flag`: `--dns`; `host`: what the host's resolv.conf says. */
  readonly dns: 'flag' | 'host'
  readonly flags: readonly string[]
  /** All cgroups of the engine stand below this one. */
  readonly cgroup: string
}

/** One dockerd in the host, with a socket, data and log of its own in the lab's directory. */
export class Engine {
  private service: Service | undefined

  constructor(
    private readonly host: Box,
    private readonly directory: string,
    private readonly options: EngineOptions,
  ) {}

  get socket(): string {
    return join(this.directory, 'docker.sock')
  }

  get log(): string {
    return this.service?.log ?? ''
  }

  /** Returns when the API answers; rejects with the end of the log when the engine ends or takes 60 s. */
  async start(extraFlags: readonly string[] = []): Promise<void> {
    await this.launch(extraFlags)
    await this.ready()
  }

  /** Starts the program and does not wait for it. */
  async launch(extraFlags: readonly string[] = []): Promise<void> {
    if (this.service?.pid !== undefined) throw new Error('the engine runs already')
    await this.host.run(['rm', '-f', join(this.directory, 'docker.pid')])
    const path = [this.options.binaries, process.env['PATH']].filter((part) => part !== undefined).join(':')
    this.service = this.host.start([...this.argv(), ...extraFlags], join(this.directory, 'dockerd.log'), {
      ...process.env,
      PATH: path,
    })
  }

  async ready(): Promise<void> {
    const service = this.service
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 20) {
      if (await answersPing(this.socket)) return
      if (!service || service.exitCode !== undefined) break
      await sleep(20)
    }
    throw new Error(`the engine did not start:\n${this.log.slice(-3000)}`)
  }

  /** As `systemctl stop docker`: without live-restore its containers end too. */
  async stop(): Promise<void> {
    await this.service?.stop('SIGTERM', 30_000)
    this.service = undefined
  }

  /** As a crash: containers stay. */
  async kill(): Promise<void> {
    await this.service?.stop('SIGKILL')
    this.service = undefined
  }

  signal(signal: NodeJS.Signals): void {
    this.service?.signal(signal)
  }

  private argv(): Argv {
    const { cgroup, dns, flags, ipv6 } = this.options
    return [
      'dockerd',
      `--data-root=${join(this.directory, 'data')}`,
      `--exec-root=${join(this.directory, 'exec')}`,
      `--pidfile=${join(this.directory, 'docker.pid')}`,
      `--host=unix://${this.socket}`,
      `--cgroup-parent=${cgroup}`,
      ...(dns === 'flag' ? ['--dns', INET.dns] : []),
      ...(ipv6 ? ['--ipv6', '--fixed-cidr-v6', DEFAULT_BRIDGE_SUBNET6] : []),
      ...flags,
    ]
  }
}

const DEFAULT_BRIDGE_SUBNET6 = '2001:db8:c:0::/64'

function answersPing(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    ping.on('timeout', () => ping.destroy())
    ping.on('error', () => resolve(false))
    ping.end()
  })
}
