import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { LabContainer } from './container.ts'
import { importImage } from './image.ts'
import type { Lab } from './lab.ts'
import { bundle, SystemdHost } from './systemd-host.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Where nothing may arrive; one container floods each from its first instruction on, 1,000 packets a second. */
const FORBIDDEN = ['203.0.113.66', '2001:db8:f::66'] as const
/** The default bridge, whose name is known, and one whose name nobody knows before Docker says it. */
const BRIDGES = ['docker0', 'my-bridge'] as const

export interface Traffic {
  /** Forbidden packets that left a container. */
  readonly sent: number
  /** Those that arrived. */
  readonly leaked: number
}

/** A host with Debian's own engine, containers that flood whenever they run, and room for the package. */
export class PackageHost {
  readonly systemd: SystemdHost
  private fetcher: LabContainer | undefined

  constructor(private readonly lab: Lab) {
    this.systemd = new SystemdHost(lab, { engine: 'inside' })
  }

  /** Boots, and starts the containers: they come back with every engine. */
  async start(): Promise<void> {
    await this.systemd.boot()
    const { docker } = this.systemd
    await importImage(docker)
    await docker.createNetwork({
      Name: 'custom',
      Options: { 'com.docker.network.bridge.name': BRIDGES[1] },
      EnableIPv6: true,
      IPAM: { Config: [{ Subnet: 'fd00:d0c:1::/64' }] },
    })
    for (const dst of FORBIDDEN) {
      for (const network of ['bridge', 'custom']) {
        const cmd = `sender flood --proto=udp --dst=${dst} --rate=500 --seconds=3600`.split(' ')
        await LabContainer.start(docker, { network, cmd, restart: 'always' })
      }
    }
    this.fetcher = await LabContainer.start(docker, { network: 'custom', restart: 'always' })
  }

  /** A container that fetches. */
  get shop(): LabContainer {
    if (this.fetcher === undefined) throw new Error('the host was not started')
    return this.fetcher
  }

  /** Counts while something is done; rejects when no forbidden packet was sent meanwhile. */
  async traffic(work: () => Promise<unknown>): Promise<Traffic> {
    const [sent, arrived] = [await this.sent(), await this.arrived()]
    await work()
    const now = await this.sent()
    // A boot makes new bridges, which count from nothing.
    return { sent: now >= sent ? now - sent : now, leaked: (await this.arrived()) - arrived }
  }

  /** What leaves in a second. */
  leaks(): Promise<Traffic> {
    return this.traffic(() => sleep(1000))
  }

  /** The host ends, by its plug or in order, and comes back; counts until the containers have flooded for a second. */
  reboot(how: 'plug' | 'order' = 'plug'): Promise<Traffic> {
    return this.traffic(async () => {
      await (how === 'plug' ? this.systemd.powerOff() : this.systemd.shutDown())
      await this.systemd.boot()
      await this.lab.waitFor('the containers flood', async () => (await this.sent()) > 500, 60_000)
      await sleep(1000)
    })
  }

  private async arrived(): Promise<number> {
    const counts = await Promise.all(FORBIDDEN.map((address) => this.lab.farEnd.count(address)))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /** What the bridges have taken from containers: nearly all of it is the flood. */
  private async sent(): Promise<number> {
    const files = BRIDGES.map((bridge) => `/sys/class/net/${bridge}/statistics/rx_packets`)
    const script = `cat ${files.join(' ')} 2>/dev/null || true`
    const { stdout } = await this.lab.host(['sh', '-c', script])
    return stdout
      .split('\n')
      .map(Number)
      .reduce((sum, count) => sum + count, 0)
  }

  shell = async (script: string): Promise<string> =>
    (await this.systemd.run(['sh', '-c', `{ ${script}\n} 2>&1`], { timeoutMs: 120_000 })).stdout.trim()

  /** Installs a package of the lab's directory, and gives what dpkg and its scripts said. */
  async install(deb: string): Promise<string> {
    return this.shell(`DEBIAN_FRONTEND=noninteractive dpkg --install --force-confold /run/engine/${deb}`)
  }

  isUp = async (): Promise<boolean> =>
    (await this.systemd.show('embargod.service', 'ActiveState')) === 'active' &&
    (await this.systemd.run(['embargod', 'status'], { okExitCodes: [1, 4, 5] })).exitCode === 0
}

/** Builds the package from the program under test into a folder, without packing it; gives its file. */
export async function buildPackage(folder: string): Promise<string> {
  const argv = ['scripts/build-deb.ts', '--bundle', bundle(), '--out', folder, '--compression', 'none']
  const { stdout } = await execa('node', ['--import', 'tsx', ...argv], { cwd: ROOT, timeout: 300_000 })
  const file = /^(\S+\.deb): /.exec(stdout)?.[1]
  if (file === undefined) throw new Error(`the build said: ${stdout}`)
  return file
}

/** The same package as a later version. */
export async function asVersion(deb: string, version: string, target: string): Promise<void> {
  const tree = `${target}.tree`
  await mkdir(tree)
  try {
    await execa('dpkg-deb', ['--raw-extract', deb, tree])
    await execa('sed', ['-i', `s/^Version: .*/Version: ${version}/`, join(tree, 'DEBIAN/control')])
    await execa('dpkg-deb', ['--root-owner-group', '-Znone', '--build', tree, target])
  } finally {
    await rm(tree, { recursive: true, force: true })
  }
}
