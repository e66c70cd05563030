import { createHash } from 'node:crypto'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerOptions } from '../container.ts'
import type { Daemon } from '../embargod.ts'
import type { Lab, NetworkOptions } from '../lab.ts'
import type { SystemdHost } from '../systemd-host.ts'
import { Random } from '../soak/random.ts'
import { Attacker, type Place } from './attacker.ts'
import type { AttackedHost } from './host.ts'
import { WIRE, Watch } from './watch.ts'

/** Hidden containers of one policy that inherits nothing, and nothing of the host for anybody. */
export const SEALED = `
allow: [allowed.example]
guard: { hostServices: [] }
policies:
  sealed: { match: { container: "sealed*" }, inherit: false }
`

export interface SceneOptions {
  readonly attack: string
  /** False: the same on a host without the guard. */
  readonly guarded: boolean
  readonly seed: number
  readonly quick: boolean
}

/** A host for one play of one attack. What the play makes of it is taken away at its end. */
export class Scene {
  /** What every packet of this play carries. */
  readonly secret: Buffer
  readonly random: Random
  readonly guarded: boolean
  readonly quick: boolean
  daemon: Daemon | undefined
  private readonly undo: (() => Promise<unknown>)[] = []
  private containers = 0

  private constructor(
    private readonly host: AttackedHost,
    { attack, guarded, seed, quick }: SceneOptions,
  ) {
    this.secret = createHash('sha256').update(`${seed} ${attack} ${guarded}`).digest().subarray(0, 16)
    this.random = new Random(seed, 0)
    this.guarded = guarded
    this.quick = quick
  }

  static async open(host: AttackedHost, options: SceneOptions): Promise<Scene> {
    const { lab } = host
    const scene = new Scene(host, options)
    await mkdir(scene.folder, { recursive: true })
    await copyFile(WIRE, join(scene.folder, 'wire.pl'))
    await lab.host(['conntrack', '-F'])
    await lab.farEnd.reset()
    await lab.inet.resetDns()
    return scene
  }

  /** Takes back what was done, the last thing first. */
  async close(): Promise<void> {
    for (const step of this.undo.toReversed()) await step().catch(() => undefined)
    await this.host.unguard()
  }

  get lab(): Lab {
    return this.host.lab
  }

  /** Of an attack that is played on one. */
  get systemd(): SystemdHost {
    if (!this.host.systemd) throw new Error('this host has no systemd')
    return this.host.systemd
  }

  readonly onEnd = (step: () => Promise<unknown>): void => {
    this.undo.push(step)
  }

  /** Starts the daemon and returns when its policy stands; on the host without the guard nothing. */
  async guard(config = SEALED): Promise<void> {
    if (!this.guarded) return
    this.daemon = await this.host.guard(config)
  }

  async network(name: string, options: NetworkOptions = {}): Promise<Place> {
    const bridge = options.bridge ?? `br-${createHash('sha256').update(name).digest('hex').slice(0, 12)}`
    const network = await this.lab.network(name, { ipv6: true, ...options, bridge })
    this.onEnd(() => network.remove())
    const { stdout: mac } = await this.lab.host(['cat', `/sys/class/net/${bridge}/address`])
    const { stdout: own } = await this.lab.host([
      'ip',
      '-o',
      'address',
      'show',
      'dev',
      bridge,
      'scope',
      'global',
    ])
    const [, gateway = ''] = / inet ([^/]+)/.exec(own) ?? []
    const [, gateway6 = ''] = / inet6 ([^/]+)/.exec(own) ?? []
    return { bridge, bridgeMac: mac.trim(), gateway, gateway6 }
  }

  async attacker(network: string, place: Place, options: ContainerOptions = {}): Promise<Attacker> {
    this.containers += 1
    const name = options.name ?? `sealed-${this.containers}`
    const attacker = await Attacker.start(this.lab, place, this.folder, { ...options, network, name })
    this.onEnd(() => attacker.container.stop())
    return attacker
  }

  /** Counts what carries the secret where it comes out of the host. */
  async farEnd(secret = this.secret): Promise<Watch> {
    return this.kept(await Watch.onInterface(this.lab, 'internet', 'host0', secret))
  }

  /** Counts what a service of the host gets. */
  async hostService(port: number): Promise<Watch> {
    return this.kept(await Watch.onPort(this.lab, port, this.secret))
  }

  /** Counts what an attacker hears on its interface. */
  async heardBy(attacker: Attacker, secret = this.secret): Promise<Watch> {
    return this.kept(await Watch.inContainer(this.lab, attacker.pid, 'eth0', secret))
  }

  private kept(watch: Watch): Watch {
    this.onEnd(() => watch.stop())
    return watch
  }

  /** Where the wire program lies, and frames to be sent by it. */
  get folder(): string {
    return join(this.lab.directory, 'attack')
  }
}
