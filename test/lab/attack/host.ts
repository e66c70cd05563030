import { importImage } from '../image.ts'
import type { Daemon } from '../embargod.ts'
import type { EngineVersion } from '../engines.ts'
import { Lab } from '../lab.ts'
import { SystemdHost } from '../systemd-host.ts'

/** A host that is attacked, with the guard and without. */
export interface AttackedHost {
  readonly lab: Lab
  /** Where the engine and the program run as units. */
  readonly systemd: SystemdHost | undefined
  /** Returns when the policy stands. */
  guard(config: string): Promise<Daemon | undefined>
  /** Nothing of the guard is left. */
  unguard(): Promise<void>
}

/** The lab's own host and engine. */
export class PlainHost implements AttackedHost {
  readonly systemd = undefined
  private daemon: Daemon | undefined

  constructor(readonly lab: Lab) {}

  static async start(engine: EngineVersion): Promise<PlainHost> {
    return new PlainHost(await Lab.start({ name: 'attack', engine }))
  }

  async guard(config: string): Promise<Daemon> {
    this.daemon = await this.lab.daemon({ config })
    return this.daemon
  }

  async unguard(): Promise<void> {
    await this.daemon?.kill()
    await this.lab.cli(['cleanup', '--yes'])
  }
}

/** A host that has booted: the engine runs by its own unit, and every control group is of version 2. */
export class BootedHost implements AttackedHost {
  private constructor(
    readonly lab: Lab,
    readonly systemd: SystemdHost,
  ) {}

  static async start(engine: EngineVersion): Promise<BootedHost> {
    const lab = await Lab.start({ name: 'attack-systemd', engine, startEngine: false })
    try {
      const systemd = new SystemdHost(lab, { engine: 'inside' })
      await systemd.installEmbargod()
      await systemd.installNode()
      await systemd.boot()
      await lab.waitFor('the engine answers', async () => (await systemd.docker.ping()).length > 0, 60_000)
      await importImage(systemd.docker)
      return new BootedHost(lab, systemd)
    } catch (error) {
      await lab.stop()
      throw error
    }
  }

  async guard(config: string): Promise<undefined> {
    await this.systemd.write('/etc/embargod/embargod.yaml', config, '0600')
    await this.systemd.run(['systemctl', 'start', 'embargod.service'])
    await this.lab.waitFor('the guard stands', async () => {
      const { exitCode } = await this.systemd.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })
      return exitCode === 0
    })
  }

  async unguard(): Promise<void> {
    await this.systemd.run(['systemctl', 'stop', 'embargod.service'])
    await this.systemd.run(['embargod', 'cleanup', '--yes'], { okExitCodes: [1] })
  }
}
