import { setTimeout as sleep } from 'node:timers/promises'
import type { LabContainer } from '../container.ts'
import type { Daemon, DaemonOptions } from '../embargod.ts'
import { Lab } from '../lab.ts'
import type { DisturbedHost } from '../leak/disturbance.ts'
import { Traffic } from '../leak/traffic.ts'

/** Packets a second to forbidden addresses, on three networks, in both families. */
export const FLOOD_RATE = 500
/** How long the kernel may differ from the plan after a step: far longer than it takes, for busy machines. */
const SETTLE_LIMIT_MS = 60_000

/** Answers are asked for often and kept shortly, so that a name's change is over within a step or two. */
const TUNING = 'resolver: { refresh: { min: 1s, max: 2s }, retain: 4s }'

/** A host under a slow flood that is used all the time, and what was made of it so far. */
export class SoakHost implements DisturbedHost {
  readonly guarded = true
  /** Long disturbances of the leak meter are done in small. */
  readonly scale = 0.1
  /** Networks that came in the course of the soak, by name. */
  readonly networks = new Map<string, { readonly ipv6: boolean }>()
  /** Containers that came, with their networks. */
  readonly containers = new Map<LabContainer, string>()
  /** Entries of the config beside the constant ones. */
  readonly entries = new Set<string>()
  /** How long each wait for the kernel to equal the plan took. */
  readonly settledMs: number[] = []
  private current: Daemon | undefined

  private constructor(
    readonly lab: Lab,
    readonly traffic: Traffic,
    /** Fetches what a step has to have opened or closed. */
    readonly prober: LabContainer,
  ) {}

  /** Nothing guards it yet. */
  static async start(): Promise<SoakHost> {
    const lab = await Lab.start({ name: 'soak' })
    try {
      // Without a guard every packet of the flood is a connection.
      await lab.host(['sysctl', '-qw', 'net.netfilter.nf_conntrack_udp_timeout=1'])
      const traffic = await Traffic.start(lab, FLOOD_RATE)
      return new SoakHost(lab, traffic, await lab.container({ network: 'shop', restart: 'always' }))
    } catch (error) {
      await lab.stop()
      throw error
    }
  }

  get config(): string {
    return [TUNING, 'allow:', ...['allowed.example', ...this.entries].map((entry) => `  - ${entry}`)].join(
      '\n',
    )
  }

  get daemon(): Daemon {
    if (!this.current) throw new Error('the daemon was not started')
    return this.current
  }

  async startDaemon(options: Partial<DaemonOptions> = {}): Promise<Daemon> {
    this.current = await this.lab.daemon({ config: this.config, ...options })
    return this.current
  }

  /** Until `plan` has nothing to do. Rejects, with the plan, when that takes more than a minute. */
  async whole(): Promise<void> {
    const fromMs = performance.now()
    for (;;) {
      const { code, stdout, stderr } = await this.lab.cli(['plan', '--config', this.lab.embargod.configFile])
      const tookMs = performance.now() - fromMs
      if (code === 0) {
        this.settledMs.push(tookMs)
        return
      }
      if (tookMs > SETTLE_LIMIT_MS)
        throw new Error(`the kernel is not as planned after a minute\n${stdout}${stderr}`)
      await sleep(100)
    }
  }

  wait(ms: number): Promise<void> {
    return sleep(ms)
  }

  /** Whether the page of a name comes; false when it is refused or nothing comes for 1.5 s. */
  async reaches(name: string): Promise<boolean> {
    const argv = ['curl', '-sS', '-4', '--max-time', '1.5', `http://${name}/`]
    return (await this.prober.exec(argv, { timeoutMs: 10_000 })).code === 0
  }

  stop(): Promise<void> {
    return this.lab.stop()
  }
}
