import { fileURLToPath } from 'node:url'
import type { Argv, Service } from './box.ts'
import type { Lab } from './lab.ts'

const SENDER = fileURLToPath(new URL('sender.pl', import.meta.url))

/** A machine of nobody's engine behind a bridge of its own, as libvirt or LXD make them: a namespace on a veth pair. */
export class Neighbour {
  private constructor(
    private readonly lab: Lab,
    readonly bridge: string,
    readonly address: string,
    private readonly namespace: string,
  ) {}

  /** Makes bridge and machine, and lets it through the engine's FORWARD policy as those tools do. */
  static async behind(lab: Lab, bridge: string): Promise<Neighbour> {
    const number = (made += 1)
    const subnet = `10.77.${number}`
    const namespace = `neighbour${number}`
    await lab.host(['ip', 'netns', 'add', namespace])
    for (const direction of ['-i', '-o'])
      await lab.host(['iptables', '-A', 'FORWARD', direction, bridge, '-j', 'ACCEPT'])
    await lab.host(['ip', '-batch', '-'], {
      input: [
        `link add ${bridge} type bridge`,
        `addr add ${subnet}.1/24 dev ${bridge}`,
        `link set ${bridge} up`,
        `link add nb${number} type veth peer name eth0 netns ${namespace}`,
        `link set nb${number} master ${bridge} up`,
        '',
      ].join('\n'),
    })
    const neighbour = new Neighbour(lab, bridge, `${subnet}.2`, namespace)
    await lab.host(neighbour.enter(['ip', '-batch', '-']), {
      input: `link set lo up\naddr add ${subnet}.2/24 dev eth0\nlink set eth0 up\nroute add default via ${subnet}.1\n`,
    })
    return neighbour
  }

  /** Does a web server of the little internet answer it? */
  async reaches(address: string, seconds = 1): Promise<boolean> {
    const { exitCode } = await this.lab.host(
      this.enter(['curl', '-sg', '-o', '/dev/null', '--max-time', String(seconds), `http://${address}/`]),
      { okExitCodes: [7, 28] },
    )
    return exitCode === 0
  }

  /** 500 packets a second until it is stopped. */
  floods(address: string): Service {
    const flood = `flood --proto=udp --dst=${address} --rate=500 --seconds=600`.split(' ')
    return this.lab.service('host', this.enter(['perl', SENDER, ...flood]))
  }

  async remove(): Promise<void> {
    for (const direction of ['-i', '-o'])
      await this.lab.host(['iptables', '-D', 'FORWARD', direction, this.bridge, '-j', 'ACCEPT'])
    await this.lab.host(['ip', 'netns', 'delete', this.namespace])
    await this.lab.host(['ip', 'link', 'delete', this.bridge])
  }

  /** The words that run a program in there. */
  enter(argv: Argv): Argv {
    return ['nsenter', `--net=/run/netns/${this.namespace}`, ...argv]
  }
}

let made = 0
