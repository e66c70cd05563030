import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LabContainer } from '../container.ts'
import type { Lab } from '../lab.ts'

/** Packets sent and arrived, of both families; odd ones are counted with their family where they arrive. */
export interface Packets {
  readonly ipv4: number
  readonly ipv6: number
}

/** What one client did since its container was made. */
export interface Requests {
  readonly begun: number
  /** Every request up to this one is decided. */
  readonly decided: number
  readonly fetched: number
  readonly failed: number
  /** Fetched, though only after a second. */
  readonly late: number
  /** Times that something came on the connection that stays. */
  readonly heard: number
  /** Why each failed. */
  readonly failures: readonly string[]
}

/** A network of each kind: the engine's own bridge, one that it names itself, and one with a name of somebody's choice. */
const NETWORKS = ['bridge', 'shop', 'lan'] as const

/** Packets to these addresses are forbidden, and nobody else uses them. */
const isForbidden = (address: string): boolean =>
  address.startsWith('198.19.') || address.startsWith('2001:db8:f::19:')

/**
 * Containers that flood what is forbidden and containers that fetch what is allowed, on every kind of network and in both
 * families. Their work is their first process, so a container that the engine starts again goes on by itself.
 */
export class Traffic {
  private constructor(
    private readonly lab: Lab,
    private readonly directory: string,
    private readonly floods: readonly string[],
    private readonly clients: readonly string[],
    private readonly containers: readonly LabContainer[],
  ) {}

  /** @param rate forbidden packets a second, of all containers together */
  static async start(lab: Lab, rate: number): Promise<Traffic> {
    const directory = join(lab.directory, 'meter')
    await mkdir(directory, { recursive: true })
    await lab.network('shop', { ipv6: true })
    await lab.network('lan', { ipv6: true, bridge: 'my-lan' })
    const containers: LabContainer[] = []
    const run = async (network: string, file: string, args: readonly string[]): Promise<void> => {
      const binds = [`${PROGRAM}:/traffic.pl:ro`, `${directory}:/meter`]
      const cmd = ['perl', '/traffic.pl', ...args, `--file=/meter/${file}`]
      containers.push(await lab.container({ network, cmd, binds, restart: 'always', name: `meter-${file}` }))
    }
    const floods: string[] = []
    for (const [index, network] of NETWORKS.entries()) {
      const bases = [`--base=198.19.${index + 1}.`, `--base6=2001:db8:f::19:${index + 1}:`]
      await run(network, `flood-${network}`, ['flood', `--rate=${Math.ceil(rate / 3)}`, ...bases])
      floods.push(`flood-${network}`)
    }
    const clients: string[] = []
    for (const family of [4, 6]) {
      // On the default bridge the DNS server itself is asked; elsewhere the engine, which may be away.
      for (const [network, ...how] of [['bridge'], ['shop', '--once']] as const) {
        const file = `fetch-${network}-${family}`
        const what = ['--name=allowed.example', `--family=${family}`, '--rate=20', ...how]
        await run(network, file, ['fetch', ...what])
        clients.push(file)
      }
    }
    const traffic = new Traffic(lab, directory, floods, clients, containers)
    await lab.waitFor('every client fetches, every flood floods', () => traffic.runs(), 20_000)
    return traffic
  }

  /** Packets that left the containers, IPv4, IPv6 and odd ones apart. */
  async sent(): Promise<Packets & { readonly odd: number }> {
    const counts = await Promise.all(this.floods.map((file) => this.counts(file)))
    const sum = (at: number) => counts.reduce((total, values) => total + (values[at] ?? 0), 0)
    return { ipv4: sum(0), ipv6: sum(1), odd: sum(2) }
  }

  /** Forbidden packets that arrived since the start, by destination. */
  async arrived(): Promise<ReadonlyMap<string, number>> {
    return new Map([...(await this.lab.farEnd.totals())].filter(([address]) => isForbidden(address)))
  }

  async requests(): Promise<readonly Requests[]> {
    return Promise.all(
      this.clients.map(async (file) => {
        const [begun = 0, decided = 0, fetched = 0, failed = 0, late = 0, heard = 0] = await this.counts(file)
        return { begun, decided, fetched, failed, late, heard, failures: await this.failures(file) }
      }),
    )
  }

  async stop(): Promise<void> {
    for (const container of this.containers) await container.stop()
  }

  private async runs(): Promise<boolean> {
    const { ipv4, ipv6 } = await this.sent()
    return (
      ipv4 > 0 && ipv6 > 0 && (await this.requests()).every(({ fetched, heard }) => fetched > 0 && heard > 0)
    )
  }

  private async failures(file: string): Promise<readonly string[]> {
    const text = await readFile(join(this.directory, `${file}.failures`), 'utf8').catch(() => '')
    return text.split('\n').flatMap((line) => (line === '' ? [] : [`${file}: ${line}`]))
  }

  private async counts(file: string): Promise<readonly number[]> {
    const text = await readFile(join(this.directory, file), 'utf8').catch(() => '')
    return text.trim().split(/\s+/).map(Number)
  }
}

/** How much more arrived, by family. */
export function arrivedBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Packets & { readonly byAddress: ReadonlyMap<string, number> } {
  const byAddress = new Map(
    [...after].flatMap(([address, count]) => {
      const more = count - (before.get(address) ?? 0)
      return more === 0 ? [] : [[address, more] as const]
    }),
  )
  const sum = (v6: boolean) =>
    [...byAddress].reduce((total, [address, more]) => total + (address.includes(':') === v6 ? more : 0), 0)
  return { ipv4: sum(false), ipv6: sum(true), byAddress }
}

const PROGRAM = fileURLToPath(new URL('traffic.pl', import.meta.url))
