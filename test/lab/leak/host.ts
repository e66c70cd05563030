import { setTimeout as sleep } from 'node:timers/promises'
import type { Daemon, DaemonOptions } from '../embargod.ts'
import type { EngineVersion } from '../engines.ts'
import { Lab } from '../lab.ts'
import type { DisturbedHost } from './disturbance.ts'
import { writeScript } from './script.ts'
import { Traffic } from './traffic.ts'
import { ours } from './wholeness.ts'

/**
 * Who looks after the host: the daemon; nobody, with the daemon guarding no network; or a script in DOCKER-USER, with no daemon
 * at all.
 */
export type Guard = 'embargod' | 'nobody' | 'script'

export interface MeterOptions {
  readonly engine?: EngineVersion
  /** Forbidden packets a second. */
  readonly rate: number
  readonly scale: number
  readonly guard: Guard
}

/** Addresses are asked for often and kept shortly: whatever a disturbance does to that shows in seconds. */
const CONFIG = ['allow: [allowed.example]', 'resolver: { refresh: { min: 1s, max: 2s }, retain: 4s }'].join(
  '\n',
)
const CONFIGS = { embargod: CONFIG, nobody: `${CONFIG}\nguard: { networks: [] }` } as const

/** A host under flood. */
export class MeterHost implements DisturbedHost {
  /** The longest `whole` since the last `expectWhole`; reading the rules, some 40 ms, is part of it. */
  wholeMs = 0
  #daemon: Daemon | undefined
  #standing = ''

  private constructor(
    readonly lab: Lab,
    readonly traffic: Traffic,
    private readonly guard: Guard,
    readonly scale: number,
  ) {}

  static async start({ engine, guard, rate, scale }: MeterOptions): Promise<MeterHost> {
    const lab = await Lab.start({ name: 'leaks', ...(engine === undefined ? {} : { engine }) })
    try {
      // Without a guard every packet of the flood is a connection, and the table is that of a real host.
      await lab.host([
        'sysctl',
        '-qw',
        'net.netfilter.nf_conntrack_udp_timeout=1',
        'net.netfilter.nf_conntrack_tcp_timeout_close=1',
      ])
      if (guard === 'script') await writeScript(lab)
      const daemon = guard === 'script' ? undefined : await lab.daemon({ config: CONFIGS[guard] })
      const host = new MeterHost(lab, await Traffic.start(lab, rate), guard, scale)
      host.#daemon = daemon
      return host
    } catch (error) {
      await lab.stop()
      throw error
    }
  }

  get guarded(): boolean {
    return this.guard === 'embargod'
  }

  get daemon(): Daemon {
    if (!this.#daemon) throw new Error('the daemon was not started')
    return this.#daemon
  }

  async startDaemon(options: Partial<DaemonOptions> = {}): Promise<Daemon> {
    if (this.guard === 'script') throw new Error('the script has no daemon')
    this.#daemon = await this.lab.daemon({ config: CONFIGS[this.guard], ...options })
    return this.#daemon
  }

  /** From here on, what stands now is what is whole. */
  async expectWhole(): Promise<void> {
    this.wholeMs = 0
    if (this.guarded) this.#standing = await ours(this.lab)
  }

  async whole(): Promise<void> {
    if (!this.guarded) return
    const fromMs = performance.now()
    for (;;) {
      const now = await ours(this.lab)
      const tookMs = performance.now() - fromMs
      if (now === this.#standing) {
        this.wholeMs = Math.max(this.wholeMs, tookMs)
        return
      }
      if (tookMs > 60_000) throw new Error(`not whole within a minute\n${difference(this.#standing, now)}`)
      await sleep(20)
    }
  }

  wait(ms: number): Promise<void> {
    return sleep(ms)
  }

  async stop(): Promise<void> {
    await this.lab.stop()
  }
}

function difference(wanted: string, found: string): string {
  const lines = (text: string) => new Set(text.split('\n'))
  const [want, have] = [lines(wanted), lines(found)]
  return [
    ...[...want].filter((line) => !have.has(line)).map((line) => `- ${line}`),
    ...[...have].filter((line) => !want.has(line)).map((line) => `+ ${line}`),
  ].join('\n')
}
