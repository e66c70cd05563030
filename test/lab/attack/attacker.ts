import type { ContainerOptions, LabContainer } from '../container.ts'
import type { Lab } from '../lab.ts'
import type { Ethernet } from './frame.ts'
import { writeFrames } from './watch.ts'

/** Where the wire program and the frames of an attack lie in a container. */
const FOLDER = '/attack'

export interface Place {
  readonly bridge: string
  readonly bridgeMac: string
  /** Addresses of the bridge. */
  readonly gateway: string
  readonly gateway6: string
}

/** A container with the rights that any has, and what it can learn by looking around. */
export class Attacker {
  private constructor(
    private readonly folder: string,
    readonly container: LabContainer,
    readonly place: Place,
    readonly pid: number,
    readonly mac: string,
    readonly address: string,
    readonly address6: string,
  ) {}

  static async start(
    lab: Lab,
    place: Place,
    folder: string,
    options: ContainerOptions & { readonly network: string },
  ): Promise<Attacker> {
    const binds = [`${folder}:${FOLDER}:ro`, ...(options.binds ?? [])]
    const container = await lab.container({ ...options, binds })
    const { NetworkSettings, State } = await lab.docker.getContainer(container.id).inspect()
    const endpoint = NetworkSettings.Networks[options.network]
    if (!endpoint) throw new Error(`${container.name} is not in ${options.network}`)
    const { MacAddress, IPAddress, GlobalIPv6Address } = endpoint
    return new Attacker(folder, container, place, State.Pid, MacAddress, IPAddress, GlobalIPv6Address)
  }

  /** Asks an address from its own sockets, so that the hosts between them know each other. */
  async pings(address: string): Promise<void> {
    await this.container.exec(['ping', '-c', '1', '-W', '1', address])
  }

  /** A frame's ends: from its own hardware address to the bridge's unless others are given. */
  ethernet({ src = this.mac, dst = this.place.bridgeMac }: Partial<Ethernet> = {}): Ethernet {
    return { src, dst }
  }

  own(family: 4 | 6): string {
    return family === 4 ? this.address : this.address6
  }

  gateway(family: 4 | 6): string {
    return family === 4 ? this.place.gateway : this.place.gateway6
  }

  /** Sends frames from inside, by a packet socket; resolves with their number. */
  async send(frames: readonly Buffer[], rate = 2000): Promise<number> {
    const name = await writeFrames(this.folder, frames)
    const argv = ['perl', `${FOLDER}/wire.pl`, 'send', 'eth0', `${FOLDER}/${name}`, String(rate)]
    const { code, stderr } = await this.container.exec(argv, {
      timeoutMs: 20_000 + (2000 * frames.length) / rate,
    })
    if (code !== 0) throw new Error(`sending frames: ${stderr}`)
    return frames.length
  }
}
